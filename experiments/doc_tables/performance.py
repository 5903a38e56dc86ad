"""The tables of ``docs/performance.md``, from what ``make bench`` stored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median, stdev
from typing import TypeVar

from benchmarks.results import Full, Layout, Pieces, Ratio, Reach, Throughput
from pydantic import ValidationError
from scipy import stats

from benchmarks import entries
from doc_tables.markdown import NONE, percent, table
from doc_tables.reproduction import measured, result_of
from kilonet.errors import UsageError

FASTEST = entries.FASTEST_MEASURED
PLAIN, FAST = "gap-14k", "gap-14k-fast-way"
Kind = TypeVar("Kind", bound=Layout)


def _read(results: Path, name: str, kind: type[Kind]) -> Kind:
    path = results / f"bench-{name}.json"
    try:
        return kind.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise UsageError(f"{path}: {error}. Run make bench again.") from None


def machine(results: Path) -> str:
    """Return the machine, the versions and the date of the measurement."""
    found = _read(results, "throughput", Throughput).machine
    where = found.environment
    rows = [
        ["processor", f"{where['cores']} cores of {where['processor']}"],
        ["platform", where["platform"]],
        ["PyTorch", where["torch"]],
        ["Python", where["python"]],
        ["commit", where["commit"]],
        ["date", found.date],
    ]
    return table(["", ""], rows, left=(0, 1))


def throughput(results: Path) -> str:
    """Return images per second and the time of a training step, for each contestant."""
    found = _read(results, "throughput", Throughput)
    headings = ["contestant", "images/s", "step, ms", "spread of the step", "start, s"]
    headings += [f"{FASTEST} is faster", "over the float32 limit", "over the bfloat16 limit"]
    ratios = found.ratios.get(FASTEST, {})
    rows = []
    for name, entry in found.contestants.items():
        step, over = entry.step_milliseconds, found.over_limit[name]
        rows.append([
            name, f"{entry.images_per_second.median:,.0f}", f"{step.median:.1f}",
            f"{step.lower_quartile:.1f}–{step.upper_quartile:.1f}", f"{entry.startup_seconds:.1f}",
            _times(ratios[name]) if name in ratios else NONE,
            f"{over['float32']:.2f}", f"{over['bfloat16']:.2f}",
        ])  # fmt: skip
    return table(headings, rows, left=(0,))


def _times(ratio: Ratio) -> str:
    """Format a ratio and its quartiles, ``4.12× (4.05–4.20)``."""
    return f"{ratio.median:.2f}× ({ratio.lower_quartile:.2f}–{ratio.upper_quartile:.2f})"


def pieces(results: Path) -> str:
    """Return the time of a step with each optimisation left out or added."""
    found = _read(results, "pieces", Pieces)
    rows = [
        [name, f"{entry.step_milliseconds.median:.1f}", _times(found.step_ratio[name])]
        for name, entry in found.contestants.items()
    ]
    return table(["what is on", "step, ms", "time, with everything on = 1"], rows, left=(0,))


def full(results: Path) -> str:
    """Return the time of whole trainings."""
    found = _read(results, "full", Full)
    rows = []
    for name, entry in found.contestants.items():
        ratio = found.train_ratio.get(name)
        rows.append([
            name, str(entry.runs[0].epochs), f"{entry.train_seconds.median:.0f}",
            f"{median(run.process_seconds for run in entry.runs):.0f}",
            ", ".join(percent(100 * run.test_accuracy) for run in entry.runs),
            f"{ratio.median:.2f}×" if ratio else NONE,
        ])  # fmt: skip
    headings = ["contestant", "epochs", "training, s", "whole process, s", "test accuracy, %"]
    return table([*headings, "faster than plain"], rows, left=(0,))


def reach(results: Path) -> str:
    """Return the seconds that each recipe takes to its accuracy."""
    rows = []
    for name, entry in _read(results, "reach", Reach).contestants.items():
        seconds = [run.seconds for run in entry.runs]
        accuracies = [100 * run.test_accuracy for run in entry.runs]
        rows.append([
            f"`{name}`", f"{entry.parameters:,}", str(entry.runs[0].epochs),
            f"{entry.runs[0].workers} in {entry.runs[0].precision}",
            f"{fmean(seconds):.2f} ({min(seconds):.2f}–{max(seconds):.2f})",
            _mean(accuracies), ", ".join(map(percent, accuracies)),
        ])  # fmt: skip
    headings = ["recipe", "parameters", "epochs", "workers", "seconds, mean (range)"]
    return table([*headings, "test accuracy, %", "each seed, %"], rows, left=(0, 3, 6))


def equivalence(results: Path) -> str:
    """Return the accuracy with plain and with fast settings, and the interval of the difference."""
    samples = {
        name: [float(value) for value in result_of(results, measured(label)).accuracy.values]
        for name, label in {"plain": PLAIN, "fast": FAST}.items()
    }
    rows = [
        [name, str(len(values)), _mean(values), ", ".join(map(percent, values))]
        for name, values in samples.items()
    ]
    low, high = difference(*samples.values())
    rows.append(["fast − plain, points", "", f"{low:+.3f} to {high:+.3f}", "90 % interval (Welch)"])
    return table(["settings", "seeds", "test accuracy, %", "each seed, %"], rows, left=(0, 3))


def difference(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """Return Welch's 90 % interval of the mean of ``second`` minus that of ``first``.

    The two are equivalent within ±m, tested at the 5 % level, if the interval lies within ±m (two
    one-sided tests; Schuirmann 1987).
    """
    found = stats.ttest_ind(second, first, equal_var=False).confidence_interval(0.9)
    return float(found.low), float(found.high)


def _mean(values: Sequence[float]) -> str:
    mean = percent(fmean(values), 3)
    return f"{mean} ± {percent(stdev(values), 3)}" if len(values) > 1 else mean
