"""What a study found, in plain words: a sentence a comparison."""

from __future__ import annotations

from kilonet.evaluation.statistics import Paired
from kilonet.report.formatting import percent
from kilonet.studies.analysis import SIGNIFICANT, Analysis, Comparison, Sooner, Summary

COLLAPSED = 0.5
"""Of the best run's accuracy: a run that has less did not learn."""


def sentences(analysis: Analysis) -> list[str]:
    """Return a sentence for each cell against the baseline; for one cell alone, what it reached."""
    by_label = {cell.label: cell for cell in analysis.cells}
    if not analysis.comparisons:
        return [alone(cell) for cell in analysis.cells]
    return [
        comparison(each, by_label[each.label], by_label[analysis.baseline])
        for each in analysis.comparisons
    ]


def alone(cell: Summary) -> str:
    """Say what a cell reached: "quick reached 99.29 % ± 0.13 (95 % interval …) over 5 seeds."."""
    if cell.deviation is None or cell.half_width is None:
        return f"{cell.label} reached {percent(cell.mean)} with one seed, which tells no spread."
    low, high = 100 * (cell.mean - cell.half_width), min(100.0, 100 * (cell.mean + cell.half_width))
    return (
        f"{cell.label} reached {percent(cell.mean)} on average over {len(cell.runs)} seeds "
        f"(95 % interval {low:.2f}–{high:.2f}, standard deviation {100 * cell.deviation:.2f})."
    )


def comparison(found: Comparison, cell: Summary, base: Summary) -> str:
    """Say how a cell compares with the baseline: how soon, and where it ended."""
    if found.seeds == 1:
        return _one_seed(found, base)
    first = _soon(found, base)
    return f"{first}{_end(found, cell, base, begins=not first)}{_collapsed(cell, base)}"


def _collapsed(cell: Summary, base: Summary) -> str:
    """Return a sentence on runs that came to nothing while others of their cell did well."""
    best = max(run.accuracy for run in (*cell.runs, *base.runs))
    said = ""
    for one in (cell, base):
        lost = [run.accuracy for run in one.runs if run.accuracy < COLLAPSED * best]
        if 0 < len(lost) < len(one.runs):
            said += (
                f" Of the {len(one.runs)} runs of {one.label} {len(lost)} did not learn "
                f"({percent(max(lost))} at most), which weighs more than any mean."
            )
    return said


def _soon(found: Comparison, base: Summary) -> str:
    """Return the clause about the epochs to the threshold, with its semicolon."""
    if found.sooner is None:
        return _never(found, base)
    epochs, goal = found.sooner.epochs, accuracy(found.sooner.accuracy)
    if found.sooner.p_adjusted >= SIGNIFICANT:
        return (
            f"{found.label} and {base.label} reached {goal} on validation images equally soon, as "
            f"far as {found.seeds} seeds can tell ({_epochs_interval(found.sooner)}); "
        )
    word = "sooner" if epochs.mean > 0 else "later"
    amount = f"{abs(epochs.mean):.1f} epochs" if abs(epochs.mean) != 1 else "1 epoch"
    return (
        f"{found.label} reached {goal} on validation images {amount} {word} than {base.label} "
        f"({_interval_of_size(epochs)}); "
    )


def _never(found: Comparison, base: Summary) -> str:
    if found.threshold is None or not any(found.never):
        return ""
    goal, (mine, theirs) = accuracy(found.threshold), found.never
    return (
        f"{found.label} reached {goal} on validation images in {found.seeds - mine} of "
        f"{found.seeds} runs, {base.label} in {found.seeds - theirs}; "
    )


def _end(found: Comparison, cell: Summary, base: Summary, begins: bool) -> str:
    points, when = found.accuracy, _when(cell, base)
    when = f"{when[0].upper()}{when[1:]}" if begins else when
    figures = (
        f"{signed(100 * points.mean)} points, 95 % interval {signed(100 * points.low)} to "
        f"{signed(100 * points.high)}, p = {p_value(found.accuracy_p_adjusted)}"
    )
    if found.accuracy_p_adjusted >= SIGNIFICANT:
        what = "no difference in test accuracy was found"
        between = f" between {found.label} and {base.label}" if begins else ""
        return f"{when} {what}{between} ({figures})."
    better = "better" if points.mean > 0 else "worse"
    than = f" than {base.label}" if begins else ""
    return f"{when} {found.label} was {better}{than} on the test images ({figures})."


def _when(cell: Summary, base: Summary) -> str:
    lengths = {len(run.history) for run in (*cell.runs, *base.runs)}
    if len(lengths) > 1:
        return "at the end"
    epochs = lengths.pop()
    return f"after {epochs} epochs" if epochs > 1 else "after 1 epoch"


def _one_seed(found: Comparison, base: Summary) -> str:
    """One seed: only the images can say something, and only of these two networks."""
    difference = f"{signed(100 * found.accuracy.mean)} points"
    if found.images is None:
        return f"{found.label} against {base.label}: {difference}, with one seed."
    verdict = "no difference was found" if found.images_p_adjusted >= SIGNIFICANT else "they differ"
    return (
        f"{found.label} against {base.label}, one network each: {difference}; "
        f"{found.images.only_a:,} test images only the first read right, "
        f"{found.images.only_b:,} only the second: {verdict} (p = "
        f"{p_value(found.images_p_adjusted)}). What one seed shows may be the seed's doing."
    )


def accuracy(fraction: float) -> str:
    """Write a threshold without idle zeros: ``97 %``, ``99.4 %``."""
    return f"{round(100 * fraction, 4):g} %"


def signed(number: float, digits: int = 2) -> str:
    """Write a difference with its sign: ``+0.12``, ``−0.02``, ``0.00``."""
    text = f"{number:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def p_value(value: float) -> str:
    """Write a p value as people read it: ``0.03``, ``0.4``, ``0.0004``."""
    return "1" if value > 0.995 else f"{value:.1g}" if value < 0.1 else f"{value:.2f}"


def _epochs_interval(sooner: Sooner) -> str:
    epochs = sooner.epochs
    return (
        f"{signed(epochs.mean, 1)} epochs, 95 % interval {signed(epochs.low, 1)} to "
        f"{signed(epochs.high, 1)}"
    )


def _interval_of_size(epochs: Paired) -> str:
    ends = sorted((abs(epochs.low), abs(epochs.high)))
    if ends[1] - ends[0] < 0.05:
        return f"in each of {len(epochs.differences)} seeds"
    return f"95 % interval {ends[0]:.1f}–{ends[1]:.1f}"
