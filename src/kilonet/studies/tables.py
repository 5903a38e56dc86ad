"""A study's results as tables of text, as the report and the terminal show them."""

from __future__ import annotations

from kilonet.evaluation.statistics import Paired
from kilonet.report.formatting import Column, Table, count
from kilonet.studies.analysis import Analysis, Comparison, Summary
from kilonet.studies.words import accuracy, p_value, signed


def cells_table(analysis: Analysis) -> Table:
    """Return what each cell reached and what it costs; the baseline is marked."""
    columns = [
        Column("cell", figures=False),
        *map(Column, ("runs", "test accuracy, %", "sd", "95 % interval", "epochs")),
        *map(Column, ("parameters", "MACs", "seconds")),
    ]
    labels = [cell.label for cell in analysis.cells]
    marked = labels.index(analysis.baseline) if analysis.baseline in labels else None
    return Table(columns, [_cell_row(cell) for cell in analysis.cells], marked)


def _cell_row(cell: Summary) -> list[str]:
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
    """Return how each cell compares with the baseline, a row a cell."""
    columns = [
        Column(f"against {analysis.baseline}", figures=False),
        *map(Column, ("seeds", "points of accuracy", "p", "images won, lost", "p")),
        *map(Column, ("epochs sooner", "to", "p")),
    ]
    return Table(columns, [_comparison_row(each) for each in analysis.comparisons])


def _comparison_row(found: Comparison) -> list[str]:
    images, sooner = found.images, found.sooner
    row = [found.label, str(found.seeds), _with_ends(found.accuracy, 100, 2)]
    row.append(p_value(found.accuracy_p_adjusted) if found.seeds > 1 else "–")
    row.append(f"{images.only_a:,}, {images.only_b:,}" if images else "–")
    row.append(p_value(found.images_p_adjusted) if images else "–")
    goal = "–" if found.threshold is None else accuracy(found.threshold)
    if sooner is None:
        return [*row, "–", goal, "–"]
    p = p_value(sooner.p_adjusted) if found.seeds > 1 else "–"
    return [*row, _with_ends(sooner.epochs, 1, 1), goal, p]


def _with_ends(difference: Paired, factor: float, digits: int) -> str:
    """Write a mean difference with its interval: ``+0.12 (+0.03 to +0.21)``."""
    mean = signed(factor * difference.mean, digits)
    if len(difference.differences) < 2:
        return mean
    low, high = factor * difference.low, factor * difference.high
    return f"{mean} ({signed(low, digits)} to {signed(high, digits)})"


def runs_table(analysis: Analysis) -> Table:
    """Return every finished run."""
    columns = [
        Column("run", figures=False),
        Column("cell", figures=False),
        *map(Column, ("seed", "test accuracy, %", "best validation, %", "epochs", "seconds")),
    ]
    rows = [
        [
            run.name,
            cell.label,
            str(run.seed),
            f"{100 * run.accuracy:.2f}",
            f"{100 * max(run.by_epoch()):.2f}" if run.by_epoch() else "–",
            str(len(run.history)),
            f"{run.seconds:.1f}",
        ]
        for cell in analysis.cells
        for run in cell.runs
    ]
    return Table(columns, rows)
