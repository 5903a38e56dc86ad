"""The text of ``docs/performance.md``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median, stdev

from benchmarks.results import Machine, Ratio, Throughput

from benchmarks import field
from goals import Goal, goals_table
from performance.equivalence import Difference, difference
from performance.measured import Measured
from rendering import render
from reproduction.results import Result
from reproduction.words import NONE, percent, table

PLAIN_WAY, FAST_WAY = "gap-14k", "gap-14k-fast-way"
MARGIN = 0.10  # percentage points
FASTEST = field.FASTEST.name
ONE_WORKER = field.ONE_WORKER.name


def performance(measured: Measured, results: dict[str, Result]) -> str:
    """Return the page."""
    return render(
        Path(__file__).with_name("page.md.j2"),
        machine=_machine(measured),
        measured=measured,
        goals=goals_table(goals_of(measured, results)),
        throughput=_throughput(measured.throughput) if measured.throughput else "",
        pieces=_pieces(measured) if measured.pieces else "",
        full=_full(measured) if measured.full else "",
        reach=_reach(measured) if measured.reach else "",
        equivalence=_equivalence(results),
        fast_way=_fast_way(results),
    )


def goals_of(measured: Measured, results: dict[str, Result]) -> list[Goal]:
    """Return every goal with what was measured of it."""
    return [
        *_speed_goals(measured.throughput),
        _limit_goal(measured.throughput),
        _equivalence_goal(results),
        *_reach_goals(measured),
        _workers_goal(measured.throughput),
        Goal("99 % and 99.4 % on one GPU of the H200's class", "≤ 0.5 s and ≤ 2 s", NONE, None),
    ]


def _speed_goals(found: Throughput | None) -> list[Goal]:
    against = {
        "plain": ("the plain DataLoader loop", 4.0),
        "lightning": ("PyTorch Lightning", 3.0),
        "keras": ("Keras", 3.0),
        "tinygrad": ("tinygrad", 3.0),
    }
    ratios = found.ratios.get(FASTEST, {}) if found else {}
    return [
        _ratio_goal(f"images/s training gap-14k, against {title}", wanted, ratios.get(name))
        for name, (title, wanted) in against.items()
    ]


def _ratio_goal(figure: str, wanted: float, ratio: Ratio | None) -> Goal:
    reached = times(ratio) if ratio else NONE
    return Goal(figure, f"≥ {wanted:g}×", reached, ratio.median >= wanted if ratio else None)


def _limit_goal(found: Throughput | None) -> Goal:
    figure, goal = "step time over the float32 arithmetic limit", "≤ 1.4"
    if found is None or FASTEST not in found.over_limit:
        return Goal(figure, goal, NONE, None)
    over = found.over_limit[FASTEST]
    return Goal(
        figure,
        goal,
        f"{over['float32']:.2f} (over the bfloat16 limit {over['bfloat16']:.2f})",
        over["float32"] <= 1.4,
    )


def _workers_goal(found: Throughput | None) -> Goal:
    ratio = found.ratios.get(FASTEST, {}).get(ONE_WORKER) if found else None
    return _ratio_goal("two workers against one on two cores", 1.6, ratio)


def _equivalence_goal(results: dict[str, Result]) -> Goal:
    found = _difference(results)
    figure = "gap-14k the fast way minus the plain way, ten seeds each, 90 % interval"
    goal = f"within ±{MARGIN:.2f} points"
    if found is None:
        return Goal(figure, goal, NONE, None)
    seeds = min(len(results[name].runs) for name in (PLAIN_WAY, FAST_WAY))
    reached = f"{found.low:+.3f} to {found.high:+.3f} ({seeds} seeds each)"
    return Goal(figure, goal, reached, found.within(MARGIN) if seeds >= 10 else None)


def _reach_goals(measured: Measured) -> list[Goal]:
    limits = {"fast-99": ("99 %", 8.0), "fast-99.4": ("99.4 %", 18.0)}
    goals = []
    for name, (title, wanted) in limits.items():
        entry = measured.reach.contestants.get(name) if measured.reach else None
        figure, goal = f"seconds to a mean test accuracy of {title}", f"≤ {wanted:g} s"
        if entry is None:
            goals.append(Goal(figure, goal, NONE, None))
            continue
        seconds = fmean(run.seconds for run in entry.runs)
        accuracy = fmean(run.test_accuracy for run in entry.runs)
        reached = f"{seconds:.1f} s for {accuracy:.3%}, {len(entry.runs)} seeds"
        met = seconds <= wanted and accuracy >= entry.goal
        goals.append(Goal(figure, goal, reached, met))
    return goals


def _throughput(found: Throughput) -> str:
    headings = ["contestant", "images/s", "step, ms", "spread of the step", "start, s"]
    headings += [f"{FASTEST} is faster", "over the float32 limit", "over the bfloat16 limit"]
    ratios = found.ratios.get(FASTEST, {})
    rows = []
    for name, entry in found.contestants.items():
        step, over = entry.step_milliseconds, found.over_limit[name]
        rows.append(
            [
                name,
                f"{entry.images_per_second.median:,.0f}",
                f"{step.median:.1f}",
                f"{step.lower_quartile:.1f}–{step.upper_quartile:.1f}",
                f"{entry.startup_seconds:.1f}",
                times(ratios[name]) if name in ratios else NONE,
                f"{over['float32']:.2f}",
                f"{over['bfloat16']:.2f}",
            ]
        )
    return table(headings, rows, texts=(0,))


def _pieces(measured: Measured) -> str:
    assert measured.pieces is not None
    rows = [
        [name, f"{entry.step_milliseconds.median:.1f}", times(measured.pieces.step_ratio[name])]
        for name, entry in measured.pieces.contestants.items()
    ]
    return table(["what is on", "step, ms", "time, with everything on = 1"], rows, texts=(0,))


def _full(measured: Measured) -> str:
    assert measured.full is not None
    rows = []
    for name, entry in measured.full.contestants.items():
        ratio = measured.full.train_ratio.get(name)
        accuracies = ", ".join(percent(100 * run.test_accuracy) for run in entry.runs)
        rows.append(
            [
                name,
                str(entry.runs[0].epochs),
                f"{entry.train_seconds.median:.0f}",
                f"{median(run.process_seconds for run in entry.runs):.0f}",
                accuracies,
                f"{ratio.median:.2f}×" if ratio else NONE,
            ]
        )
    headings = ["contestant", "epochs", "training, s", "whole process, s", "test accuracy, %"]
    return table([*headings, "faster than plain"], rows, texts=(0,))


def _reach(measured: Measured) -> str:
    assert measured.reach is not None
    rows = []
    for name, entry in measured.reach.contestants.items():
        seconds = [run.seconds for run in entry.runs]
        accuracies = [100 * run.test_accuracy for run in entry.runs]
        rows.append(
            [
                f"`{name}`",
                f"{entry.parameters:,}",
                str(entry.runs[0].epochs),
                f"{entry.runs[0].workers} in {entry.runs[0].precision}",
                f"{fmean(seconds):.2f} ({min(seconds):.2f}–{max(seconds):.2f})",
                _mean(accuracies),
                ", ".join(map(percent, accuracies)),
            ]
        )
    headings = ["recipe", "parameters", "epochs", "workers", "seconds, mean (range)"]
    return table([*headings, "test accuracy, %", "each seed, %"], rows, texts=(0, 3, 6))


def _equivalence(results: dict[str, Result]) -> str:
    rows = []
    for title, name in {"plain": PLAIN_WAY, "fast": FAST_WAY}.items():
        if name in results:
            values = [float(value) for value in results[name].accuracy.values]
            rows.append([title, str(len(values)), _mean(values), ", ".join(map(percent, values))])
    headings = ["way", "seeds", "test accuracy, %", "each seed, %"]
    return table(headings, rows, texts=(0, 3)) if len(rows) == 2 else ""


def _fast_way(results: dict[str, Result]) -> str:
    """Return what the fast way sets otherwise than the recipe."""
    overrides = results[FAST_WAY].overrides if FAST_WAY in results else []
    return ", ".join(f"`{override}`" for override in overrides)


def _difference(results: dict[str, Result]) -> Difference | None:
    if PLAIN_WAY not in results or FAST_WAY not in results:
        return None
    ways = [
        [float(value) for value in results[name].accuracy.values] for name in (PLAIN_WAY, FAST_WAY)
    ]
    return difference(*ways)


def _mean(values: Sequence[float]) -> str:
    mean = percent(fmean(values), 3)
    return f"{mean} ± {percent(stdev(values), 3)}" if len(values) > 1 else mean


def times(ratio: Ratio) -> str:
    """Return a ratio and its quartiles, ``4.12× (4.05–4.20)``."""
    return f"{ratio.median:.2f}× ({ratio.lower_quartile:.2f}–{ratio.upper_quartile:.2f})"


def _machine(measured: Measured) -> Machine | None:
    found = [measured.throughput, measured.pieces, measured.full, measured.reach]
    return next((result.machine for result in found if result is not None), None)
