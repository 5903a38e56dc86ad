"""Test error against parameters, on two logarithmic axes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from frontier.measured import Frontier, Record
from kilonet.report.style import MUTED, PAPER, plot_style, save_figure
from reproduction.results import Result

OURS, OTHERS = "#0072b2", "#56b4e9"
_ERRORS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0)
_SIZES = (500, 1000, 2000, 4000, 8000, 16000, 32000)


def draw_frontier(found: Frontier, path: Path) -> None:
    """Draw the mean and 95 % interval of every budget, our other recipes, and the records."""
    found = found.on("mnist")
    with plot_style():
        figure = Figure(figsize=(8.8, 5.0))
        axes = figure.subplots()
        _draw_records(axes, found.records)
        _draw_others(axes, list(found.others.values()))
        for row in found.rows:
            if row.result is not None:
                _draw_one(axes, row.result, row.budget.name)
        _finish(axes)
        save_figure(figure, path)


def _draw_records(axes: Axes, records: Sequence[Record]) -> None:
    sizes, errors = [r.parameters for r in records], [100 - r.accuracy for r in records]
    axes.plot(
        sizes, errors, linestyle="none", marker="o", markersize=7, markerfacecolor=PAPER,
        markeredgecolor=MUTED, label="published, a single figure each",
    )  # fmt: skip


def _draw_others(axes: Axes, results: Sequence[Result]) -> None:
    sizes = [result.parameters for result in results]
    errors = [100 - float(result.accuracy.mean) for result in results]
    axes.plot(
        sizes, errors, linestyle="none", marker="s", markersize=5, color=OTHERS,
        label="other recipes here, mean of their seeds",
    )  # fmt: skip


def _draw_one(axes: Axes, result: Result, name: str) -> None:
    error = 100 - float(result.accuracy.mean)
    low, high = result.accuracy.interval or (100 - error, 100 - error)
    axes.errorbar(
        [result.parameters], [error], yerr=[[max(high - (100 - error), 0)], [100 - error - low]],
        color=OURS, marker="D", markersize=6, capsize=3, linestyle="none",
        label="frontier, mean and 95 % interval",
    )  # fmt: skip
    below = {"xytext": (0, -5), "textcoords": "offset points", "ha": "center", "va": "top"}
    axes.annotate(name, (result.parameters, 100 - high), color=OURS, **below)


def _finish(axes: Axes) -> None:
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
