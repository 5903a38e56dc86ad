"""The plots of the documentation: validation error by epoch, test error by parameters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, MultipleLocator, NullLocator

from doc_tables.frontier import Record, read_frontier
from doc_tables.results import Result, measured, read_experiment, result_of
from doc_tables.tables import read_model
from kilonet.report.style import MUTED, PAPER, plot_style, save_figure

# Okabe and Ito's palette without yellow, which is hard to see on white; markers differ as well.
_STYLES = (
    ("#0072b2", "o"),
    ("#e69f00", "s"),
    ("#009e73", "^"),
    ("#cc79a7", "D"),
    ("#d55e00", "v"),
    ("#56b4e9", "P"),
)
_CURVE_TICKS = (0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 50.0)  # percent
_MIN_ERROR = 0.01  # percent; a logarithmic axis has no 0
_FRONTIER, _OTHERS = "#0072b2", "#56b4e9"
_ERRORS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0)
_SIZES = (500, 1000, 2000, 4000, 8000, 16000, 32000)
OTHERS = (
    "simple-8k",
    "simple-8k-plus",
    "gap-14k",
    "gap-14k-plus",
    "fast-99.4",
    "plain-valid-adam",
)


def draw_all(results: Path, folder: Path) -> None:
    """Draw every plot into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    curves = [result_of(results, measured(label)) for label in read_experiment().curves]
    draw_curves(curves, folder / "training-curves.png")
    names = [budget.name for budget in read_frontier().budgets("mnist")]
    frontier, others = (
        {label: read_model(results / f"{label}.json", Result) for label in labels}
        for labels in (names, OTHERS)
    )
    draw_frontier(
        frontier, [*others.values()], read_frontier().records("mnist"), folder / "frontier.png"
    )


def draw_curves(results: Sequence[Result], path: Path) -> None:
    """Draw the validation error in percent by epoch, a line for each of at most six results.

    The line is the mean over the seeds that reached an epoch, the band their range.
    """
    with plot_style():
        figure = Figure(figsize=(8.8, 4.4))
        axes = figure.subplots()
        lines = [_draw(axes, each, style) for each, style in zip(results, _STYLES, strict=False)]
        _finish_curves(axes)
        lines.sort(key=lambda line: -float(np.asarray(line.get_ydata())[-1]))  # as they end
        figure.legend(handles=lines, loc="outside right upper", labelspacing=0.9)
        save_figure(figure, path)


def _draw(axes: Axes, result: Result, style: tuple[str, str]) -> Line2D:
    errors = _errors(result)
    epochs = sorted(errors)
    colour, marker = style
    lows, highs = ([extreme(errors[epoch]) for epoch in epochs] for extreme in (min, max))
    axes.fill_between(epochs, lows, highs, color=colour, alpha=0.15, linewidth=0)
    means = [float(np.mean(errors[epoch])) for epoch in epochs]
    (line,) = axes.plot(
        epochs, means, color=colour, marker=marker, markersize=5.5, markeredgecolor=PAPER,
        label=result.recipe,
    )  # fmt: skip
    return line


def _errors(result: Result) -> dict[int, list[float]]:
    """Return the validation errors in percent of all seeds, by epoch."""
    found: dict[int, list[float]] = {}
    for run in result.runs:
        for epoch, accuracy in run.recorded("validation_accuracy").items():
            found.setdefault(epoch, []).append(max(100 - float(accuracy), _MIN_ERROR))
    return found


def _finish_curves(axes: Axes) -> None:
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    ticks = [tick for tick in _CURVE_TICKS if low <= tick <= high]
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_major_formatter(FixedFormatter([f"{tick:g} %" for tick in ticks]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_locator(MultipleLocator(2))
    axes.grid(axis="y")
    axes.set_xlabel("epoch")
    axes.set_title("Validation error")
    axes.set_title(
        "share of the held-back images, logarithmic; mean and range over seeds",
        loc="right", color=MUTED, fontsize=8.5, fontweight="normal",
    )  # fmt: skip


def draw_frontier(
    frontier: dict[str, Result], others: Sequence[Result], records: Sequence[Record], path: Path
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
    axes.xaxis.set_major_locator(FixedLocator(_SIZES))
    axes.xaxis.set_major_formatter(FixedFormatter([f"{size:,}" for size in _SIZES]))
    axes.yaxis.set_major_locator(FixedLocator(_ERRORS))
    axes.yaxis.set_major_formatter(FixedFormatter([f"{error:g}" for error in _ERRORS]))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.set_xlim(360, 45000)
    axes.set_ylim(0.19, 2.6)
    axes.set_xlabel("parameters")
    axes.set_ylabel("test error, %")
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    axes.legend(unique.values(), unique.keys(), loc="upper right", frameon=False)
