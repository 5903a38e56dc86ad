"""Plots of a study: accuracy by epoch with bands, and accuracy against its costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from kilonet.evaluation.statistics import t_interval
from kilonet.report.facts import Curve, Point
from kilonet.report.style import (
    INK,
    MUTED,
    PAPER,
    accuracy_label,
    plot_style,
    save_figure,
    set_epoch_ticks,
    set_log_scale,
    set_titles,
    zero_substitute,
)

# Okabe and Ito's palette; the colours with the most contrast on white come first.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1f2933", "#8c6bb1")
_MARKERS = "os^Dv<>P"
_MAX_NAMED = 16  # in a panel: more names would hide the points


def study_curves(curves: Sequence[Curve], path: Path) -> None:
    """Draw the mean validation accuracy by epoch of each cell as a PNG at ``path``.

    The band is the 95 % interval of the mean, over the epochs that all runs of a cell have.
    """
    with plot_style():
        figure = Figure(figsize=(9.6, 4.8))
        axes = figure.subplots()
        means = [np.mean(_equal_lengths(curve), axis=0) for curve in curves]
        errors = [1 - mean for mean in means]
        zero = zero_substitute(errors)
        for place, (curve, error) in enumerate(zip(curves, errors, strict=True)):
            _draw_curve(axes, place, curve, error, zero)
        set_log_scale(axes, errors, zero, accuracy_label)
        axes.set_ylim(min(axes.get_ylim()[1], 1.0), axes.get_ylim()[0])
        set_epoch_ticks(axes, range(1, 1 + max(map(len, errors))))
        set_titles(axes, "Validation accuracy by epoch", "mean over seeds, 95 % interval")
        columns = max(1, min(4, 120 // (4 + max(len(curve.label) for curve in curves))))
        handles, names = axes.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper left", ncols=columns)
        save_figure(figure, path)


def _equal_lengths(curve: Curve) -> list[Sequence[float]]:
    shortest = min(map(len, curve.runs))
    return [run[:shortest] for run in curve.runs]


def _draw_curve(
    axes: Axes, place: int, curve: Curve, error: npt.NDArray[np.float64], zero: float
) -> None:
    colour, marker = _line_style(place)
    epochs = np.arange(1, 1 + len(error))
    axes.plot(
        epochs, np.maximum(error, zero), "-" if place < len(_COLOURS) else "--", color=colour,
        marker=marker, markersize=5 if len(error) <= 25 else 0, markeredgecolor=PAPER,
        label=curve.label,
    )  # fmt: skip
    if len(curve.runs) > 1:
        half = [t_interval(column)[1] for column in zip(*_equal_lengths(curve), strict=True)]
        low, high = np.maximum(error - half, zero or 1e-6), np.minimum(error + half, 1)
        axes.fill_between(epochs, low, high, color=colour, alpha=0.15, linewidth=0)


def _line_style(place: int) -> tuple[str, str]:
    return _COLOURS[place % len(_COLOURS)], _MARKERS[place % len(_MARKERS)]


def study_costs(points: Sequence[Point], path: Path) -> None:
    """Draw test accuracy against parameters, MACs and training time as a PNG at ``path``.

    Rings mark the Pareto front: the cells for which no other cell is both better and cheaper.
    """
    with plot_style():
        figure = Figure(figsize=(11.2, 4.4))
        panels = figure.subplots(1, 3, sharey=True)
        errors = np.array([1 - point.accuracy for point in points])
        zero = zero_substitute([errors])
        costs = {
            "parameters": [point.parameters for point in points],
            "MACs an image": [point.macs for point in points],
            "seconds of training": [point.seconds for point in points],
        }
        for axes, (name, values) in zip(panels, costs.items(), strict=True):
            _draw_costs(axes, points, values, zero)
            scale_costs(axes, values)
            axes.set_xlabel(name)
        set_log_scale(panels[0], _with_bars(points, zero), zero, accuracy_label)
        panels[0].set_ylim(min(panels[0].get_ylim()[1], 1.0), panels[0].get_ylim()[0])
        for axes in panels[1:]:
            axes.grid(axis="y")
        panels[0].set_title("Test accuracy against its costs")
        aside = "rings: Pareto front; bars: 95 % interval"
        panels[2].set_title(aside, loc="right", color=MUTED, fontsize=8.5, fontweight="normal")
        save_figure(figure, path)


def _with_bars(points: Sequence[Point], zero: float) -> list[npt.NDArray[np.float64]]:
    """Return the error rates and the ends of their bars, cut to what the axis shows."""
    errors = np.array([1 - point.accuracy for point in points])
    half = np.array([point.half_width for point in points])
    low = np.maximum(errors - half, np.maximum(errors, zero) / 4)
    return [errors, low, np.minimum(errors + half, 1)]


def _draw_costs(axes: Axes, points: Sequence[Point], costs: Sequence[float], zero: float) -> None:
    front = pareto_front(costs, [point.accuracy for point in points])
    for place, (point, cost) in enumerate(zip(points, costs, strict=True)):
        colour, marker = _line_style(place)
        error = max(1 - point.accuracy, zero)
        below = min(point.half_width, error * 0.95)
        axes.errorbar(
            cost, error, yerr=[[below], [point.half_width]], fmt=marker, color=colour,
            markersize=6.5, markeredgecolor=PAPER, elinewidth=1.2,
        )  # fmt: skip
        if len(points) <= _MAX_NAMED:
            axes.annotate(
                point.label, (cost, error), (6, 5), textcoords="offset points", fontsize=7.5,
                color=MUTED,
            )  # fmt: skip
    line = sorted((costs[place], max(1 - points[place].accuracy, zero)) for place in front)
    axes.plot(*zip(*line, strict=True), "-", color=INK, linewidth=0.9, alpha=0.6, zorder=1)
    axes.plot(
        *zip(*line, strict=True), "o", markersize=12, markerfacecolor="none",
        markeredgecolor=INK, markeredgewidth=1.1,
    )  # fmt: skip


def scale_costs(axes: Axes, values: Sequence[float]) -> None:
    """Make the x axis logarithmic around ``values``, with a few round ticks."""
    low, high = min(values), max(values)
    low, high = max(low, 1e-3), max(high, 1e-3)
    room = max(1.6, (6 * low / high) ** 0.5)
    axes.set_xscale("log")
    axes.set_xlim(low / room, high * room)
    decades = range(int(np.floor(np.log10(low / room))), int(np.ceil(np.log10(high * room))) + 1)
    steps: Sequence[int] = (1, 2, 5) if high / low < 20 else (1,)
    ticks = [
        s * 10.0**d for d in decades for s in steps if low / room <= s * 10.0**d <= high * room
    ]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FixedFormatter([_cost(tick) for tick in ticks]))
    axes.xaxis.set_minor_locator(NullLocator())


def _cost(value: float) -> str:
    return f"{value / 1e6:g} M" if value >= 1e6 else f"{value:,.10g}"


def pareto_front(costs: Sequence[float], accuracies: Sequence[float]) -> list[int]:
    """Return the indices of the points on the Pareto front.

    A point is on it if no other is at least as cheap and at least as accurate, and better in one.
    """
    return [
        place
        for place, (cost, accuracy) in enumerate(zip(costs, accuracies, strict=True))
        if not any(
            other <= cost and good >= accuracy and (other, good) != (cost, accuracy)
            for other, good in zip(costs, accuracies, strict=True)
        )
    ]
