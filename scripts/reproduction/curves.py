"""Validation error by epoch of several recipes in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, MultipleLocator, NullLocator

from kilonet.report.style import MUTED, PAPER, plot_style, save_figure
from reproduction.results import Result

# Okabe and Ito's palette without its yellow, which white paper swallows; markers tell the lines
# apart as well.
_LOOKS = (
    ("#0072b2", "o"),
    ("#e69f00", "s"),
    ("#009e73", "^"),
    ("#cc79a7", "D"),
    ("#d55e00", "v"),
    ("#56b4e9", "P"),
)
_TICKS = (0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 50.0)  # percent
_LEAST = 0.01  # percent; a logarithm has no place for 0


def draw_curves(results: Sequence[Result], path: Path) -> None:
    """Draw the validation error in percent by epoch, a line a result, as a PNG at ``path``.

    The line is the mean over the seeds that reached an epoch, the band their range. At most six.
    """
    with plot_style():
        figure = Figure(figsize=(8.8, 4.4))
        axes = figure.subplots()
        lines = [_draw(axes, result, look) for result, look in zip(results, _LOOKS, strict=False)]
        _finish(axes)
        lines.sort(key=lambda line: -float(np.asarray(line.get_ydata())[-1]))  # as they end
        figure.legend(handles=lines, loc="outside right upper", labelspacing=0.9)
        save_figure(figure, path)


def _draw(axes: Axes, result: Result, look: tuple[str, str]) -> Line2D:
    errors = _errors(result)
    epochs = sorted(errors)
    colour, marker = look
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
            found.setdefault(epoch, []).append(max(100 - float(accuracy), _LEAST))
    return found


def _finish(axes: Axes) -> None:
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    ticks = [tick for tick in _TICKS if low <= tick <= high]
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
