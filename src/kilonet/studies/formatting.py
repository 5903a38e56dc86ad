"""A study's results as text: one sentence for each comparison, and tables."""

from __future__ import annotations

from kilonet.evaluation.statistics import Paired
from kilonet.report.formatting import Column, Table, count, p_value, percent, signed
from kilonet.studies.analysis import SIGNIFICANT, Analysis, CellComparison, CellSummary, EpochsSaved

FAILED_TO_LEARN = 0.5
"""A run with less than this fraction of the best run's accuracy did not learn."""


def answers(analysis: Analysis) -> list[str]:
    """Return a sentence for each comparison with the baseline, or for each cell without one."""
    by_label = {cell.label: cell for cell in analysis.cells}
    if not analysis.comparisons:
        return [_cell_sentence(cell) for cell in analysis.cells]
    return [
        _comparison_sentence(each, by_label[each.label], by_label[analysis.baseline])
        for each in analysis.comparisons
    ]


def _cell_sentence(cell: CellSummary) -> str:
    if cell.deviation is None or cell.half_width is None:
        return f"{cell.label} reached {percent(cell.mean)} with one seed; its spread is unknown."
    low, high = 100 * (cell.mean - cell.half_width), min(100.0, 100 * (cell.mean + cell.half_width))
    return (
        f"{cell.label} reached {percent(cell.mean)} on average over {len(cell.runs)} seeds "
        f"(95 % interval {low:.2f}–{high:.2f}, standard deviation {100 * cell.deviation:.2f})."
    )


def _comparison_sentence(each: CellComparison, cell: CellSummary, base: CellSummary) -> str:
    if each.seeds == 1:
        return _one_seed(each, base)
    epochs = _epochs_clause(each, base)
    accuracy = _accuracy_clause(each, cell, base, begins=not epochs)
    return f"{epochs}{accuracy}{_failed_to_learn(cell, base)}"


def _failed_to_learn(cell: CellSummary, base: CellSummary) -> str:
    """Return a sentence about runs that did not learn while others of their cell did."""
    best = max(run.accuracy for run in (*cell.runs, *base.runs))
    text = ""
    for one in (cell, base):
        low = [run.accuracy for run in one.runs if run.accuracy < FAILED_TO_LEARN * best]
        if 0 < len(low) < len(one.runs):
            text += (
                f" Of the {len(one.runs)} runs of {one.label} {len(low)} did not learn "
                f"({percent(max(low))} at most), which matters more than any mean."
            )
    return text


def _epochs_clause(each: CellComparison, base: CellSummary) -> str:
    """Return the clause about the epochs to the threshold, with its semicolon."""
    if each.saved is None:
        return _not_reached_clause(each, base)
    epochs, threshold = each.saved.epochs, threshold_text(each.saved.accuracy)
    if each.saved.p_adjusted >= SIGNIFICANT:
        return (
            f"{each.label} and {base.label} reached {threshold} on validation images equally soon, "
            f"as far as {each.seeds} seeds can tell ({_epochs_interval(each.saved)}); "
        )
    word = "sooner" if epochs.mean > 0 else "later"
    amount = f"{abs(epochs.mean):.1f} epochs" if abs(epochs.mean) != 1 else "1 epoch"
    return (
        f"{each.label} reached {threshold} on validation images {amount} {word} than {base.label} "
        f"({_interval_of_size(epochs)}); "
    )


def _not_reached_clause(each: CellComparison, base: CellSummary) -> str:
    if each.threshold is None or not any(each.not_reached):
        return ""
    threshold, (cell_missed, base_missed) = threshold_text(each.threshold), each.not_reached
    return (
        f"{each.label} reached {threshold} on validation images in {each.seeds - cell_missed} of "
        f"{each.seeds} runs, {base.label} in {each.seeds - base_missed}; "
    )


def _accuracy_clause(
    each: CellComparison, cell: CellSummary, base: CellSummary, begins: bool
) -> str:
    points, when = each.accuracy, _when(cell, base)
    when = f"{when[0].upper()}{when[1:]}" if begins else when
    figures = (
        f"{signed(100 * points.mean)} points, 95 % interval {signed(100 * points.low)} to "
        f"{signed(100 * points.high)}, p = {p_value(each.accuracy_p_adjusted)}"
    )
    if each.accuracy_p_adjusted >= SIGNIFICANT:
        what = "no difference in test accuracy was found"
        between = f" between {each.label} and {base.label}" if begins else ""
        return f"{when} {what}{between} ({figures})."
    better = "better" if points.mean > 0 else "worse"
    than = f" than {base.label}" if begins else ""
    return f"{when} {each.label} was {better}{than} on the test images ({figures})."


def _when(cell: CellSummary, base: CellSummary) -> str:
    lengths = {len(run.history) for run in (*cell.runs, *base.runs)}
    if len(lengths) > 1:
        return "at the end"
    epochs = lengths.pop()
    return f"after {epochs} epochs" if epochs > 1 else "after 1 epoch"


def _one_seed(each: CellComparison, base: CellSummary) -> str:
    """Return the sentence for one seed, which is about these two networks only."""
    difference = f"{signed(100 * each.accuracy.mean)} points"
    if each.images is None:
        return f"{each.label} against {base.label}: {difference}, with one seed."
    verdict = "no difference was found" if each.images_p_adjusted >= SIGNIFICANT else "they differ"
    return (
        f"{each.label} against {base.label}, one network each: {difference}; only the first "
        f"classified {each.images.only_a:,} test images correctly, only the second "
        f"{each.images.only_b:,}: {verdict} (p = {p_value(each.images_p_adjusted)}). One seed "
        "cannot tell a better recipe from a lucky seed."
    )


def threshold_text(fraction: float) -> str:
    """Write a threshold without trailing zeros: ``97 %``, ``99.4 %``."""
    return f"{round(100 * fraction, 4):g} %"


def _epochs_interval(saved: EpochsSaved) -> str:
    epochs = saved.epochs
    return (
        f"{signed(epochs.mean, 1)} epochs, 95 % interval {signed(epochs.low, 1)} to "
        f"{signed(epochs.high, 1)}"
    )


def _interval_of_size(epochs: Paired) -> str:
    ends = sorted((abs(epochs.low), abs(epochs.high)))
    if ends[1] - ends[0] < 0.05:
        return f"in each of {len(epochs.differences)} seeds"
    return f"95 % interval {ends[0]:.1f}–{ends[1]:.1f}"


def cells_table(analysis: Analysis) -> Table:
    """Return a row for each cell: accuracy, spread and cost; the baseline is marked."""
    columns = [
        Column("cell", figures=False),
        *map(Column, ("runs", "test accuracy, %", "sd", "95 % interval", "epochs")),
        *map(Column, ("parameters", "MACs", "seconds")),
    ]
    labels = [cell.label for cell in analysis.cells]
    marked = labels.index(analysis.baseline) if analysis.baseline in labels else None
    return Table(columns, [_cell_row(cell) for cell in analysis.cells], marked)


def _cell_row(cell: CellSummary) -> list[str]:
    interval = "–"
    if cell.half_width is not None:
        low, high = cell.mean - cell.half_width, cell.mean + cell.half_width
        interval = f"{max(0.0, 100 * low):.2f}–{min(100.0, 100 * high):.2f}"
    return [
        cell.label,
        str(len(cell.runs)),
        f"{100 * cell.mean:.2f}",
        "–" if cell.deviation is None else f"{100 * cell.deviation:.2f}",
        interval,
        f"{cell.epochs:g}" if cell.epochs == int(cell.epochs) else f"{cell.epochs:.1f}",
        count(cell.parameters),
        count(cell.macs),
        f"{cell.seconds:.1f}",
    ]


def comparisons_table(analysis: Analysis) -> Table:
    """Return a row for each comparison with the baseline."""
    columns = [
        Column(f"against {analysis.baseline}", figures=False),
        *map(Column, ("seeds", "points of accuracy", "p", "images won, lost", "p")),
        *map(Column, ("epochs sooner", "to", "p")),
    ]
    return Table(columns, [_comparison_row(each) for each in analysis.comparisons])


def _comparison_row(each: CellComparison) -> list[str]:
    images, saved = each.images, each.saved
    row = [each.label, str(each.seeds), _with_interval(each.accuracy, 100, 2)]
    row.append(p_value(each.accuracy_p_adjusted) if each.seeds > 1 else "–")
    row.append(f"{images.only_a:,}, {images.only_b:,}" if images else "–")
    row.append(p_value(each.images_p_adjusted) if images else "–")
    threshold = "–" if each.threshold is None else threshold_text(each.threshold)
    if saved is None:
        return [*row, "–", threshold, "–"]
    p = p_value(saved.p_adjusted) if each.seeds > 1 else "–"
    return [*row, _with_interval(saved.epochs, 1, 1), threshold, p]


def _with_interval(difference: Paired, factor: float, digits: int) -> str:
    """Write a mean difference with its interval: ``+0.12 (+0.03 to +0.21)``."""
    mean = signed(factor * difference.mean, digits)
    if len(difference.differences) < 2:
        return mean
    low, high = factor * difference.low, factor * difference.high
    return f"{mean} ({signed(low, digits)} to {signed(high, digits)})"


def runs_table(analysis: Analysis) -> Table:
    """Return a row for each finished run."""
    columns = [
        Column("run", figures=False),
        Column("cell", figures=False),
        *map(Column, ("seed", "test accuracy, %", "best validation, %", "epochs", "seconds")),
    ]
    rows = []
    for cell in analysis.cells:
        for run in cell.runs:
            validation = run.validation_accuracies()
            rows.append(
                [
                    run.name,
                    cell.label,
                    str(run.seed),
                    f"{100 * run.accuracy:.2f}",
                    f"{100 * max(validation):.2f}" if validation else "–",
                    str(len(run.history)),
                    f"{run.seconds:.1f}",
                ]
            )
    return Table(columns, rows)
