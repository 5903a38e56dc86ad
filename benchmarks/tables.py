"""The results as tables in the terminal."""

from __future__ import annotations

from statistics import fmean

from rich.table import Table

from benchmarks.results import (
    Arithmetic,
    Backends,
    Entry,
    Full,
    Pieces,
    Ratio,
    Reach,
    Result,
    Throughput,
)


def tables(result: Result) -> list[Table]:
    """Return the tables of a result."""
    if isinstance(result, Throughput):
        return [_throughput(result), _arithmetic(result.arithmetic)]
    if isinstance(result, Pieces):
        return [_pieces(result)]
    if isinstance(result, Reach):
        return [_reach(result)]
    return [_full(result)] if isinstance(result, Full) else [_backends(result)]


def _throughput(result: Throughput) -> Table:
    table = _table("Training throughput", result.rounds.rounds, result.rounds.steps)
    for name in result.ratios:
        table.add_column(f"speed of {name} relative to this", justify="right")
    for name in next(iter(result.over_limit.values()), {}):
        table.add_column(f"step time / {name} limit", justify="right")
    for name, entry in result.contestants.items():
        faster = [times(row[name]) if name in row else "–" for row in result.ratios.values()]
        over = [f"{value:.2f}" for value in result.over_limit[name].values()]
        table.add_row(*_speed(name, entry), *faster, *over)
    return table


def _pieces(result: Pieces) -> Table:
    table = _table("Training step: ablation", result.rounds.rounds, result.rounds.steps)
    table.add_column('step time relative to "everything"', justify="right")
    for name, entry in result.contestants.items():
        table.add_row(*_speed(name, entry), times(result.step_ratio[name]))
    return table


def _backends(result: Backends) -> Table:
    table = _table("Keras by backend", result.rounds.rounds, result.rounds.steps)
    for name, entry in result.contestants.items():
        table.add_row(*_speed(name, entry))
    for name in result.missing:
        table.add_row(name, "missing")
    return table


def _arithmetic(found: Arithmetic) -> Table:
    title = f"Arithmetic alone: {found.flops_per_step / 1e9:.2f} GFLOP a step"
    table = Table("threads", "precision", title=title)
    table.add_column("GFLOP/s", justify="right")
    table.add_column("step, ms", justify="right")
    for threads, by_precision in found.gflops.items():
        for name, speed in by_precision.items():
            limit = found.step_milliseconds[threads][name]
            table.add_row(threads, name, f"{speed:.0f}", f"{limit:.1f}")
    return table


def _full(result: Full) -> Table:
    table = Table("contestant", title="Whole trainings")
    for heading in ("epochs", "training, s", f"of {result.recipe_epochs} epochs, s"):
        table.add_column(heading, justify="right")
    table.add_column("test accuracy", justify="right")
    table.add_column("faster than plain, training", justify="right")
    table.add_column("whole process", justify="right")
    for name, entry in result.contestants.items():
        extrapolated = entry.extrapolated_train_seconds
        accuracies = ", ".join(f"{run.test_accuracy:.2%}" for run in entry.runs)
        table.add_row(
            name,
            str(entry.runs[0].epochs),
            f"{entry.train_seconds.median:.1f}",
            f"{extrapolated.median:.0f} (extrapolated)"
            if extrapolated
            else f"{entry.train_seconds.median:.1f}",
            accuracies,
            times(result.train_ratio[name]) if name in result.train_ratio else "–",
            times(result.process_ratio[name]) if name in result.process_ratio else "–",
        )
    return table


def _reach(result: Reach) -> Table:
    table = Table("recipe", title="Time to accuracy")
    for heading in ("seeds", "epochs", "workers", "seconds", "mean test accuracy", "goal"):
        table.add_column(heading, justify="right")
    for name, entry in result.contestants.items():
        seconds = fmean(run.seconds for run in entry.runs)
        accuracy = fmean(run.test_accuracy for run in entry.runs)
        first = entry.runs[0]
        row = [str(len(entry.runs)), str(first.epochs), f"{first.workers} in {first.precision}"]
        table.add_row(name, *row, f"{seconds:.2f}", f"{accuracy:.3%}", f"{entry.goal:.2%}")
    return table


def times(ratio: Ratio) -> str:
    """Return a ratio and its quartiles, ``4.12× (4.05–4.20)``."""
    return f"{ratio.median:.2f}× ({ratio.lower_quartile:.2f}–{ratio.upper_quartile:.2f})"


def _table(title: str, rounds: int, steps: int) -> Table:
    table = Table("contestant", title=f"{title}: {rounds} rounds of {steps} steps")
    table.add_column("images/s", justify="right")
    table.add_column("step, ms", justify="right")
    table.add_column("start, s", justify="right")
    return table


def _speed(name: str, entry: Entry) -> tuple[str, str, str, str]:
    return (
        name,
        f"{entry.images_per_second.median:,.0f}",
        f"{entry.step_milliseconds.median:.1f}",
        f"{entry.startup_seconds:.1f}",
    )
