"""The rows of the tables of ``docs/performance.md``, from what ``make bench`` stored."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from statistics import fmean, median

from benchmarks.results import Full, Pieces, Ratio, Reach, Throughput
from scipy import stats

from benchmarks import entries
from doc_tables.results import Sample, measured, result_of
from doc_tables.tables import Row, percent, read_model, table


def performance_machine(results: Path) -> Iterator[Row]:
    """Yield the machine, the versions and the date of the measurement."""
    found = read_model(results / "bench-throughput.json", Throughput).machine
    yield {"where": found.environment, "date": found.date}


def throughput(results: Path) -> Iterator[Row]:
    """Yield images per second and the time of a training step, for each contestant."""
    found = read_model(results / "bench-throughput.json", Throughput)
    ratios = found.ratios.get(entries.FASTEST_MEASURED, {})
    for name, entry in found.contestants.items():
        yield {
            "name": name,
            "entry": entry,
            "step": entry.step_milliseconds,
            "fastest": entries.FASTEST_MEASURED,
            "ratio": _times(ratios[name]) if name in ratios else None,
            "over": found.over_limit[name],
        }


def _times(ratio: Ratio) -> str:
    """Format a ratio and its quartiles, ``4.12× (4.05–4.20)``."""
    return f"{ratio.median:.2f}× ({ratio.lower_quartile:.2f}–{ratio.upper_quartile:.2f})"


def pieces(results: Path) -> Iterator[Row]:
    """Yield the time of a step with each optimisation left out or added."""
    found = read_model(results / "bench-pieces.json", Pieces)
    for name, entry in found.contestants.items():
        yield {"name": name, "entry": entry, "ratio": _times(found.step_ratio[name])}


def full(results: Path) -> Iterator[Row]:
    """Yield the time of whole trainings."""
    found = read_model(results / "bench-full.json", Full)
    for name, entry in found.contestants.items():
        ratio = found.train_ratio.get(name)
        yield {
            "name": name,
            "entry": entry,
            "first": entry.runs[0],
            "process": median(run.process_seconds for run in entry.runs),
            "accuracies": [100 * run.test_accuracy for run in entry.runs],
            "faster": f"{ratio.median:.2f}×" if ratio else None,
        }


def reach(results: Path) -> Iterator[Row]:
    """Yield the seconds that each recipe takes to its accuracy."""
    for name, entry in read_model(results / "bench-reach.json", Reach).contestants.items():
        seconds = [run.seconds for run in entry.runs]
        yield {
            "name": name,
            "entry": entry,
            "first": entry.runs[0],
            "mean": fmean(seconds),
            "low": min(seconds),
            "high": max(seconds),
            "accuracy": Sample([Fraction(100 * run.test_accuracy) for run in entry.runs]),
        }


def equivalence(results: Path) -> str:
    """Return the accuracy with plain and with fast settings, and the interval of the difference.

    The two are equivalent within ±m, tested at the 5 % level, if Welch's 90 % interval lies
    within ±m (two one-sided tests; Schuirmann 1987).
    """
    labels = {"plain": "gap-14k", "fast": "gap-14k-fast-way"}
    samples = {name: result_of(results, measured(label)).accuracy for name, label in labels.items()}
    rows = [
        [name, str(len(sample.values)), str(sample), ", ".join(map(percent, sample.values))]
        for name, sample in samples.items()
    ]
    plain, fast = ([float(value) for value in sample.values] for sample in samples.values())
    found = stats.ttest_ind(fast, plain, equal_var=False).confidence_interval(0.9)
    bounds = f"{found.low:+.3f} to {found.high:+.3f}"
    rows.append(["fast − plain, points", "", bounds, "90 % interval (Welch)"])
    return table(["settings", "seeds", "test accuracy, %", "each seed, %"], rows, left=(0, 3))


ROWS = (full, performance_machine, pieces, reach, throughput)
