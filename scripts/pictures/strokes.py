"""Shapes of digits, as distances from the middle of a stroke, and ink of any width from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

Floats: TypeAlias = npt.NDArray[np.float64]

FINE = 4  # pixels of the skeleton's grid to one of MNIST's


@dataclass(frozen=True, eq=False)
class Shape:
    """Distances from the middle of the nearest stroke, cropped around the digit.

    ``unit`` pixels of the grid are a twentieth of the digit's longer side.
    """

    distance: Floats
    unit: float

    def ink(self, side: int, width: float) -> Floats:
        """Return the ink, 0 to 1, ``side`` pixels long without the pen's, strokes ``width`` wide."""
        scale = side / (20 * self.unit)
        height, across = (max(1, round(length * scale)) for length in self.distance.shape)
        image = Image.fromarray(self.distance.astype(np.float32))
        resized = np.asarray(image.resize((across, height), Image.Resampling.BICUBIC), np.float64)
        return np.clip(0.5 + width / 2 - resized * scale, 0, 1)


def shape_of_image(image: npt.NDArray[np.uint8]) -> Shape:
    """Return the shape of an MNIST image: its skeleton, by which it can be drawn anew."""
    large = Image.fromarray(image).resize((28 * FINE, 28 * FINE), Image.Resampling.BICUBIC)
    return _shape(thinned(np.asarray(large) > 110))


def _shape(skeleton: npt.NDArray[np.bool_]) -> Shape:
    rows, columns = np.nonzero(skeleton)
    side = max(np.ptp(rows), np.ptp(columns)) + 1
    margin = int(side * 0.3) + 2
    cropped = skeleton[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    distance = ndimage.distance_transform_edt(~np.pad(cropped, margin))
    return Shape(ndimage.gaussian_filter(distance, 0.7), side / 20)


def thinned(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the skeleton of ``mask`` (T. Y. Zhang and C. Y. Suen, CACM 27(3), 1984)."""
    mask = np.pad(mask, 1)
    changed = True
    while changed:
        changed = False
        for first in (True, False):
            p = [np.roll(mask, shift, (0, 1)) for shift in _AROUND]
            count = np.sum(p, axis=0)
            turns = sum((~p[i] & p[(i + 1) % 8]).astype(int) for i in range(8))
            north, east, south, west = p[0], p[2], p[4], p[6]
            free = ~(north & east & south) & ~(east & south & west)
            if not first:
                free = ~(north & east & west) & ~(north & south & west)
            gone = mask & (count >= 2) & (count <= 6) & (turns == 1) & free
            if gone.any():
                mask, changed = mask & ~gone, True
    return mask[1:-1, 1:-1]


_AROUND = ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))

# Points of each digit's strokes in a box of 1 by 1; "." joins points by a smooth curve.
TEMPLATES: dict[int, list[list[list[tuple[float, float]]]]] = {
    0: [[[(0.55, 0.0), (0.15, 0.2), (0.1, 0.65), (0.4, 1.0), (0.75, 0.85), (0.85, 0.4), (0.65, 0.08), (0.5, 0.02)]]],
    1: [[[(0.5, 0.0), (0.5, 0.5), (0.5, 1.0)]], [[(0.3, 0.22), (0.45, 0.1), (0.55, 0.0)], [(0.55, 0.0), (0.55, 0.5), (0.55, 1.0)]],
        [[(0.65, 0.0), (0.5, 0.5), (0.35, 1.0)]]],
    2: [[[(0.15, 0.25), (0.35, 0.02), (0.7, 0.08), (0.75, 0.35), (0.45, 0.7), (0.12, 0.97)], [(0.12, 0.97), (0.5, 0.96), (0.88, 0.98)]]],
    3: [[[(0.18, 0.12), (0.45, 0.0), (0.75, 0.15), (0.65, 0.38), (0.42, 0.47)], [(0.42, 0.47), (0.75, 0.55), (0.8, 0.82), (0.5, 1.0), (0.15, 0.9)]]],
    4: [[[(0.4, 0.0), (0.28, 0.3), (0.12, 0.62)], [(0.12, 0.62), (0.5, 0.6), (0.9, 0.6)], [(0.7, 0.3), (0.68, 0.6), (0.66, 1.0)]],
        [[(0.2, 0.02), (0.18, 0.3), (0.22, 0.5)], [(0.22, 0.5), (0.5, 0.52), (0.78, 0.48)], [(0.78, 0.0), (0.76, 0.5), (0.74, 1.0)]]],
    5: [[[(0.25, 0.02), (0.22, 0.2), (0.2, 0.42)], [(0.2, 0.42), (0.55, 0.36), (0.82, 0.6), (0.65, 0.92), (0.2, 0.96)], [(0.25, 0.02), (0.5, 0.03), (0.8, 0.0)]]],
    6: [[[(0.65, 0.0), (0.35, 0.25), (0.18, 0.6), (0.3, 0.93), (0.6, 0.98), (0.78, 0.78), (0.62, 0.55), (0.35, 0.6), (0.22, 0.75)]]],
    7: [[[(0.12, 0.05), (0.5, 0.04), (0.85, 0.03)], [(0.85, 0.03), (0.6, 0.45), (0.4, 1.0)]],
        [[(0.12, 0.05), (0.5, 0.04), (0.85, 0.03)], [(0.85, 0.03), (0.6, 0.45), (0.4, 1.0)], [(0.3, 0.5), (0.5, 0.49), (0.78, 0.48)]]],
    8: [[[(0.72, 0.12), (0.5, 0.0), (0.25, 0.14), (0.35, 0.38), (0.62, 0.56), (0.78, 0.82), (0.5, 1.0), (0.22, 0.84), (0.35, 0.58), (0.65, 0.36), (0.73, 0.12)]]],
    9: [[[(0.75, 0.2), (0.5, 0.0), (0.22, 0.18), (0.3, 0.42), (0.6, 0.44), (0.76, 0.18)], [(0.76, 0.18), (0.74, 0.6), (0.62, 1.0)]]],
}  # fmt: skip


def shape_of_template(digit: int, rng: np.random.Generator) -> Shape:
    """Return a drawn digit: a template whose points, slant, aspect and angle are shaken."""
    strokes = TEMPLATES[digit][rng.integers(len(TEMPLATES[digit]))]
    angle, slant = math.radians(rng.normal(0, 5)), rng.normal(0.1, 0.12)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = turn @ np.array([[rng.uniform(0.6, 0.95), -slant], [0.0, 1.0]])
    shaken = {point: rng.normal(0, 0.02, 2) for stroke in strokes for point in stroke}
    size = 100
    skeleton = np.zeros((2 * size, 2 * size), dtype=np.bool_)
    for stroke in strokes:
        points = np.array([np.array(point) + shaken[point] - 0.5 for point in stroke]) @ matrix.T
        for x, y in _curve(points) * size + size:
            skeleton[int(y), int(x)] = True
    return _shape(skeleton)


def _curve(points: Floats) -> Floats:
    """Return many points on the Catmull–Rom curve through ``points``."""
    ends = np.concatenate([[2 * points[0] - points[1]], points, [2 * points[-1] - points[-2]]])
    t = np.linspace(0, 1, 120)[:, None]
    parts = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(ends, ends[1:], ends[2:], ends[3:], strict=False)
    ]  # fmt: skip
    return np.concatenate(parts)


def enlarged(image: npt.NDArray[np.uint8], side: int) -> Floats:
    """Return an MNIST image's ink at ``side`` pixels, all but bilevel as its original was."""
    rows, columns = (np.nonzero(image.max(axis=axis) > 64)[0] for axis in (1, 0))
    digit = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = side / max(digit.shape)
    size = tuple(max(1, round(length * scale)) for length in digit.shape)
    resized = Image.fromarray(digit).resize(size[::-1], Image.Resampling.BICUBIC)
    slope = max(1.0, scale / 2)
    return np.clip((np.asarray(resized, np.float64) / 255 - 0.5) * slope + 0.5, 0, 1)
