"""The plot of a study: accuracy by epoch, with bands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kilonet.evaluation.statistics import t_interval
from kilonet.report.facts import Curve
from kilonet.report.style import (
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
