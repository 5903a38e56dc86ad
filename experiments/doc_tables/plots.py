"""The plots of the documentation: validation accuracy by epoch, test error by parameters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from doc_tables.frontier import PublishedNetwork, read_frontier
from doc_tables.results import Result, measured, read_experiment, result_of
from doc_tables.tables import read_model
from kilonet.report.facts import Curve
from kilonet.report.study_plots import study_curves
from kilonet.report.style import MUTED, PAPER, plot_style, save_figure

_FRONTIER, _OTHERS = "#0072b2", "#56b4e9"
_ERRORS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0)
_SIZES = (500, 1000, 2000, 4000, 8000, 16000, 32000)
OTHERS = (
    *("simple-8k", "simple-8k-plus", "gap-14k", "gap-14k-plus"),
    *("fast-99.4", "plain-valid-adam"),
)


def draw_all(results: Path, folder: Path) -> None:
    """Draw every plot into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    labels = read_experiment().curves
    curves = [Curve(label, _by_epoch(result_of(results, measured(label)))) for label in labels]
    study_curves(curves, folder / "training-curves.png")
    frontier, others = (
        {name: read_model(results / f"{name}.json", Result) for name in names}
        for names in ([budget.name for budget in read_frontier().budgets("mnist")], OTHERS)
    )
    records = read_frontier().records("mnist")
    draw_frontier(frontier, [*others.values()], records, folder / "frontier.png")


def _by_epoch(result: Result) -> list[list[float]]:
    """Return the validation accuracies of each run by epoch, as fractions."""
    columns = (run.recorded("validation_accuracy") for run in result.runs)
    return [[float(accuracy) / 100 for accuracy in column.values()] for column in columns]


def draw_frontier(
    frontier: dict[str, Result],
    others: Sequence[Result],
    records: Sequence[PublishedNetwork],
    path: Path,
) -> None:
    """Draw test error against parameters: budgets with their intervals, other recipes, records."""
    with plot_style():
        figure = Figure(figsize=(8.8, 5.0))
        axes = figure.subplots()
        axes.plot(
            [r.parameters for r in records], [100 - r.accuracy for r in records],
            linestyle="none", marker="o", markersize=7, markerfacecolor=PAPER,
            markeredgecolor=MUTED, label="published, a single figure each",
        )  # fmt: skip
        axes.plot(
            [r.parameters for r in others], [100 - float(r.accuracy.mean) for r in others],
            linestyle="none", marker="s", markersize=5, color=_OTHERS,
            label="other recipes here, mean of their seeds",
        )  # fmt: skip
        for name, result in frontier.items():
            _draw_budget(axes, result, name)
        _finish_frontier(axes)
        save_figure(figure, path)


def _draw_budget(axes: Axes, result: Result, name: str) -> None:
    error = 100 - float(result.accuracy.mean)
    low, high = result.accuracy.interval or (100 - error, 100 - error)
    axes.errorbar(
        [result.parameters], [error], yerr=[[max(high - (100 - error), 0)], [100 - error - low]],
        color=_FRONTIER, marker="D", markersize=6, capsize=3, linestyle="none",
        label="frontier, mean and 95 % interval",
    )  # fmt: skip
    below = {"xytext": (0, -5), "textcoords": "offset points", "ha": "center", "va": "top"}
    axes.annotate(name, (result.parameters, 100 - high), color=_FRONTIER, **below)


def _finish_frontier(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis, ticks in ((axes.xaxis, _SIZES), (axes.yaxis, _ERRORS)):
        axis.set_major_locator(FixedLocator(ticks))
        axis.set_major_formatter(FixedFormatter([f"{tick:,g}" for tick in ticks]))
        axis.set_minor_locator(NullLocator())
    axes.set_xlim(360, 45000)
    axes.set_ylim(0.19, 2.6)
    axes.set_xlabel("parameters")
    axes.set_ylabel("test error, %")
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    axes.legend(unique.values(), unique.keys(), loc="upper right", frameon=False)
