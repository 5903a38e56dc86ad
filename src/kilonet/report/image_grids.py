"""Grids of images: a labelled batch, the mistakes of a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from kilonet.report.style import DPI, FAINT, INK, MUTED, plot_style, save_figure

Images = npt.NDArray[np.uint8]

MAX_MISTAKES = 24

# Lengths are in units of an image's side. Each of 28 pixels is drawn as 5 × 5 dots.
_INCHES = 28 * 5 / DPI
_GAP = 0.2
_LINE = 0.18
_MARGIN = 0.25


def most_confident_mistakes(
    labels: npt.NDArray[np.integer[Any]], probabilities: npt.NDArray[np.floating[Any]]
) -> npt.NDArray[np.intp]:
    """Return the indices of all misclassified images, (M,), the most confident mistake first.

    ``labels`` is (N,), ``probabilities`` (N, K).
    """
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    return wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")]


def mistakes(
    images: Images,
    labels: npt.NDArray[np.integer[Any]],
    probabilities: npt.NDArray[np.floating[Any]],
    classes: Sequence[str],
    path: Path,
) -> None:
    """Draw the (at most 24) most confident mistakes, the worst first, as a PNG at ``path``.

    ``images`` is uint8, (N, H, W) or (N, C, H, W) with one or three channels; ``labels`` (N,);
    ``probabilities`` (N, K). The caption of each image is: true class → predicted class,
    confidence, index in the data.
    """
    worst = most_confident_mistakes(labels, probabilities)[:MAX_MISTAKES]
    captions = [_caption(int(i), int(labels[i]), probabilities[i], classes) for i in worst]
    lines = max(map(len, captions), default=2)
    pitch = 1 + _LINE * lines + _GAP
    with plot_style():
        figure, axes = _canvas(8, max(1, -(-len(worst) // 8)), pitch)
        if not captions:
            axes.text(0.5, 0.5, "No mistakes.", transform=axes.transAxes, ha="center")
        for place, (index, caption) in enumerate(zip(worst, captions, strict=True)):
            x, y = _corner(place, 8, pitch)
            _draw(axes, images[index], x, y)
            for number, line in enumerate(caption, start=1):
                last = number == len(caption)
                _write(axes, x, y + 1 + _LINE * number, line, quiet=last)
        save_figure(figure, path)


def sample_grid(
    images: Images,
    labels: npt.NDArray[np.integer[Any]],
    classes: Sequence[str],
    path: Path,
    augmented: Images | None = None,
) -> None:
    """Draw a labelled batch, ten to a row, as a PNG at ``path``.

    ``images`` is uint8, (N, H, W) or (N, C, H, W) with one or three channels; ``labels`` (N,).
    ``augmented``, of the same shape, is drawn below, each image under its original.
    """
    batches = [images] if augmented is None else [images, augmented]
    if not len(images) or any(len(batch) != len(labels) for batch in batches):
        raise ValueError(f"expected as many images as labels ({len(labels)}), and at least one")
    columns = min(10, len(images))
    pitch = len(batches) * (1 + _GAP / 3) + _LINE + _GAP
    with plot_style():
        figure, axes = _canvas(columns, -(-len(images) // columns), pitch)
        for place, label in enumerate(labels):
            x, y = _corner(place, columns, pitch)
            _write(axes, x, y + _LINE * 0.7, classes[label])
            for number, batch in enumerate(batches):
                top = y + _LINE + number * (1 + _GAP / 3)
                _draw(axes, batch[place], x, top)
        if augmented is not None:
            note = "Above: as stored. Below: as augmented for training."
            axes.text(0, axes.get_ylim()[0] - _MARGIN / 2, note, color=MUTED, fontsize=8)
        save_figure(figure, path)


def _caption(
    index: int, label: int, p: npt.NDArray[np.floating[Any]], classes: Sequence[str]
) -> list[str]:
    # Never "100 %" for a mistake: what would round to it is "> 99.9 %".
    confidence = f"{p.max():.1%}" if p.max() < 0.9995 else "> 99.9%"
    names = (classes[label], classes[int(p.argmax())])
    short = max(map(len, classes)) <= 3
    caption = [" → ".join(names)] if short else [names[0], f"→ {names[1]}"]
    return [*caption, f"{confidence.replace('%', ' %')} · #{index}"]


def _canvas(columns: int, rows: int, pitch: float) -> tuple[Figure, Axes]:
    """Return a figure for a grid, and its one axes without decoration, y pointing down."""
    width = columns * (1 + _GAP) - _GAP + 2 * _MARGIN
    height = rows * pitch - _GAP + 2 * _MARGIN
    figure = Figure(figsize=(width * _INCHES, height * _INCHES))
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-_MARGIN, width - _MARGIN)
    axes.set_ylim(height - _MARGIN, -_MARGIN)
    axes.set_axis_off()
    axes.set_autoscale_on(False)
    return figure, axes


def _corner(place: int, columns: int, pitch: float) -> tuple[float, float]:
    row, column = divmod(place, columns)
    return column * (1 + _GAP), row * pitch


def _draw(axes: Axes, picture: npt.NDArray[np.uint8], x: float, y: float) -> None:
    """Draw one image with its upper left corner at (x, y); a grey one as dark ink on white."""
    shown = np.moveaxis(picture, 0, -1) if picture.ndim == 3 else picture
    extent = (x, x + 1, y + 1, y)
    axes.imshow(shown.squeeze(), cmap="Greys", vmin=0, vmax=255, extent=extent, aspect="auto",
                interpolation="nearest")  # fmt: skip
    axes.add_patch(Rectangle((x, y), 1, 1, fill=False, edgecolor=FAINT, linewidth=0.8))


def _write(axes: Axes, x: float, y: float, text: str, *, quiet: bool = False) -> None:
    colour, size = (MUTED, 7.5) if quiet else (INK, 9)
    axes.text(x + 0.5, y, text, ha="center", va="baseline", color=colour, fontsize=size)
