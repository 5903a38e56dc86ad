"""Which classes are mistaken for which."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure

from kilonet.report._style import FAINT, INK, MUTED, PAPER, calm, save

_MISTAKES = LinearSegmentedColormap.from_list("mistakes", ["#fdf1e7", "#f0a868", "#b34700"])
_SLANTED_FROM = 4  # characters of a class name


def confusion_matrix(matrix: Sequence[Sequence[int]], classes: Sequence[str], path: Path) -> None:
    """Draw the counts of ``matrix``, a row per true class, as a PNG at ``path``.

    What was read rightly is most of it and would drown the rest: the diagonal is grey, and only
    mistakes are coloured, by the logarithm of their number. Cells without an image stay empty.
    """
    counts = np.asarray(matrix, dtype=np.int64)
    side = 2.2 + 0.46 * len(classes)
    with calm():
        figure = Figure(figsize=(side + 0.4, side))
        axes = figure.subplots()
        _draw_cells(axes, counts)
        _name_axes(axes, classes)
        right, total = int(np.trace(counts)), int(counts.sum())
        axes.set_title(f"{total - right:,} of {total:,} images misread", pad=14)
        save(figure, path)


def _draw_cells(axes: Axes, counts: npt.NDArray[np.int64]) -> None:
    mistakes = np.where(np.eye(len(counts), dtype=bool), 0, counts)
    most = max(int(mistakes.max(initial=0)), 10)  # two mistakes are no alarm
    shades = np.ma.masked_equal(mistakes, 0)
    axes.imshow(shades, cmap=_MISTAKES, norm=LogNorm(1, most))
    for row, column in np.argwhere(counts):
        count, on_diagonal = int(counts[row, column]), row == column
        if on_diagonal:
            axes.fill_between([column - 0.5, column + 0.5], row - 0.5, row + 0.5, color=FAINT, lw=0)
        dark = not on_diagonal and count > most**0.8
        colour = MUTED if on_diagonal else PAPER if dark else INK
        axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour,
                  fontsize=9 if count < 10_000 else 7)  # fmt: skip


def _name_axes(axes: Axes, classes: Sequence[str]) -> None:
    places = range(len(classes))
    axes.set_xticks(places, classes)
    if max(map(len, classes)) >= _SLANTED_FROM:
        for name in axes.get_xticklabels():
            name.set(rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, classes)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    edges = np.arange(len(classes) + 1) - 0.5
    axes.set_xticks(edges, minor=True)
    axes.set_yticks(edges, minor=True)
    axes.grid(which="minor", color=FAINT, linewidth=0.8)
    axes.tick_params(which="minor", length=0)
