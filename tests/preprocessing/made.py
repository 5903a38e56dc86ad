"""Small synthetic pictures: strokes between points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Point = tuple[float, float]
SEVEN: Sequence[Sequence[Point]] = [[(0.2, 0.1), (0.8, 0.1), (0.4, 0.9)]]
FIVE_APART: Sequence[Sequence[Point]] = [
    [(0.45, 0.1), (0.85, 0.08)],
    [(0.3, 0.15), (0.28, 0.45), (0.6, 0.5), (0.7, 0.75), (0.3, 0.9)],
]
ONE: Sequence[Sequence[Point]] = [[(0.5, 0.1), (0.5, 0.9)]]


def drawn(
    strokes: Sequence[Sequence[Point]] = SEVEN, side: int = 140, width: float = 10
) -> npt.NDArray[np.uint8]:
    """Return antialiased strokes, 255 on 0."""
    image = Image.new("L", (side * 4, side * 4))
    pen = ImageDraw.Draw(image)
    for stroke in strokes:
        points = [(x * side * 4, y * side * 4) for x, y in stroke]
        pen.line(points, fill=255, width=round(width * 4), joint="curve")
    return np.asarray(image.resize((side, side), Image.Resampling.BOX))


def on_paper(
    ink: npt.NDArray[np.uint8], contrast: float = 90, noise: float = 4, seed: int = 0
) -> npt.NDArray[np.uint8]:
    """Return pencil strokes on paper in uneven light."""
    y, x = np.mgrid[-1 : 1 : 1j * ink.shape[0], -1 : 1 : 1j * ink.shape[1]]
    paper = 210 - 40 * x - 15 * y - 20 * x * y
    grey = paper - contrast / 255 * ink + np.random.default_rng(seed).normal(0, noise, ink.shape)
    return np.clip(np.round(grey), 0, 255).astype(np.uint8)


def difference(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> float:
    """Return the summed difference of two images as a share of the first one's ink.

    A centre of mass between two pixels may round to either, so a shift by one pixel is ignored.
    """
    wide = np.pad(b.astype(int), 1)
    moved = [wide[y : y + len(a), x : x + len(a)] for y in range(3) for x in range(3)]
    return float(min(np.abs(a - other).sum() for other in moved) / a.sum())
