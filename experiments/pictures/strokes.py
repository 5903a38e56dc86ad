"""Digits as distance maps to the centre line, from which ink of any width can be drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

Floats: TypeAlias = npt.NDArray[np.float64]
Bytes: TypeAlias = npt.NDArray[np.uint8]
Value = TypeVar("Value", bound=np.generic)

Curve: TypeAlias = list[tuple[float, float]]

SMOOTH = 0.7  # pixels of that grid: steps of the skeleton are not drawn
FINE = 4  # pixels of the skeleton's grid to one of MNIST's


@dataclass(frozen=True, eq=False)
class Shape:
    """Distances from the middle of the nearest stroke, cropped around the digit.

    ``unit`` pixels of the grid are a twentieth of the digit's longer side.
    """

    distance: Floats
    unit: float

    def ink(self, side: int, width: float) -> Floats:
        """Return the ink, 0 to 1, ``width`` wide around strokes that span ``side`` pixels."""
        scale = side / (20 * self.unit)
        height, across = (max(1, round(length * scale)) for length in self.distance.shape)
        image = Image.fromarray(self.distance.astype(np.float32))
        resized = np.asarray(image.resize((across, height), Image.Resampling.BICUBIC), np.float64)
        return np.clip(0.5 + width / 2 - resized * scale, 0, 1)


def shape_of_image(image: npt.NDArray[np.uint8]) -> Shape:
    """Return the shape of an MNIST image: its skeleton, to be drawn with any width."""
    large = Image.fromarray(image).resize((28 * FINE, 28 * FINE), Image.Resampling.BICUBIC)
    return _shape(thinned(np.asarray(large) > 110))


def _shape(skeleton: npt.NDArray[np.bool_]) -> Shape:
    rows, columns = np.nonzero(skeleton)
    side = max(np.ptp(rows), np.ptp(columns)) + 1
    margin = int(side * 0.3) + 2
    cropped = skeleton[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    distance = ndimage.distance_transform_edt(~np.pad(cropped, margin))
    smooth = ndimage.gaussian_filter(distance, SMOOTH)
    lifted = SMOOTH**2 * 2 / math.pi  # what smoothing makes of |x| at 0, squared
    return Shape(np.sqrt(np.maximum(smooth**2 - lifted, 0)), side / 20)


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

# A digit a line, in a box of 100 by 100: x,y of the points of its curves, which "|" divides.
TEMPLATES = """
0: 55,0 15,20 10,65 40,100 75,85 85,40 65,8 50,2
1: 50,0 50,50 50,100
1: 30,22 45,10 55,0 | 55,0 55,50 55,100
1: 65,0 50,50 35,100
2: 15,25 35,2 70,8 75,35 45,70 12,97 | 12,97 50,96 88,98
3: 18,12 45,0 75,15 65,38 42,47 | 42,47 75,55 80,82 50,100 15,90
4: 40,0 28,30 12,62 | 12,62 50,60 90,60 | 70,30 68,60 66,100
4: 20,2 18,30 22,50 | 22,50 50,52 78,48 | 78,0 76,50 74,100
5: 25,2 22,20 20,42 | 20,42 55,36 82,60 65,92 20,96 | 25,2 50,3 80,0
6: 65,0 35,25 18,60 30,93 60,98 78,78 62,55 35,60 22,75
7: 12,5 50,4 85,3 | 85,3 60,45 40,100
7: 12,5 50,4 85,3 | 85,3 60,45 40,100 | 30,50 50,49 78,48
8: 72,12 50,0 25,14 35,38 62,56 78,82 50,100 22,84 35,58 65,36 73,12
9: 75,20 50,0 22,18 30,42 60,44 76,18 | 76,18 74,60 62,100
"""


def _templates() -> dict[int, list[list[Curve]]]:
    found: dict[int, list[list[Curve]]] = {}
    for line in TEMPLATES.split("\n")[1:-1]:
        digit, _, text = line.partition(": ")
        found.setdefault(int(digit), []).append(curves_of(text))
    return found


def curves_of(text: str) -> list[Curve]:
    """Return the curves of ``text``: x,y of points in percent of a box, "|" between curves."""
    return [[_point(word) for word in part.split()] for part in text.split("|")]


def _point(word: str) -> tuple[float, float]:
    x, y = word.split(",")
    return int(x) / 100, int(y) / 100


def shape_of_template(digit: int, rng: np.random.Generator) -> Shape:
    """Return a drawn digit: one of its templates, shaken."""
    variants = _templates()[digit]
    return shape_of_strokes(variants[rng.integers(len(variants))], rng)


def shape_of_strokes(strokes: list[Curve], rng: np.random.Generator, spread: float = 1.0) -> Shape:
    """Return the shape of ``strokes`` with points, slant, aspect and angle shaken by ``spread``."""
    angle, slant = math.radians(rng.normal(0, 5 * spread)), rng.normal(0.1, 0.12 * spread)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = turn @ np.array([[rng.uniform(0.6, 0.95), -slant], [0.0, 1.0]])
    shaken = {point: rng.normal(0, 0.02 * spread, 2) for stroke in strokes for point in stroke}
    size = 100
    skeleton = np.zeros((2 * size, 2 * size), dtype=np.bool_)
    for stroke in strokes:
        points = np.array([np.array(point) + shaken[point] - 0.5 for point in stroke]) @ matrix.T
        for x, y in points_of_curve(points) * size + size:
            skeleton[int(y), int(x)] = True
    return _shape(skeleton)


def points_of_curve(points: Floats) -> Floats:
    """Return many points on the Catmull–Rom curve through ``points``."""
    ends = np.concatenate([[2 * points[0] - points[1]], points, [2 * points[-1] - points[-2]]])
    t = np.linspace(0, 1, 120)[:, None]
    parts = []
    for a, b, c, d in zip(ends, ends[1:], ends[2:], ends[3:], strict=False):
        square, cube = 2 * a - 5 * b + 4 * c - d, 3 * b - a - 3 * c + d
        parts.append(0.5 * (2 * b + (c - a) * t + square * t**2 + cube * t**3))
    return np.concatenate(parts)


def trimmed(image: npt.NDArray[Value], threshold: float = 0) -> npt.NDArray[Value]:
    """Return the part of ``image``, (H, W), that contains every value above ``threshold``."""
    rows, columns = (np.nonzero(image.max(axis=axis) > threshold)[0] for axis in (1, 0))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def enlarged(image: npt.NDArray[np.uint8], side: int) -> Floats:
    """Return an MNIST image's ink at ``side`` pixels, almost bilevel, like the original scan."""
    digit = trimmed(image, 64)
    scale = side / max(digit.shape)
    size = tuple(max(1, round(length * scale)) for length in digit.shape)
    resized = Image.fromarray(digit).resize(size[::-1], Image.Resampling.BICUBIC)
    slope = max(1.0, scale / 2)
    return np.clip((np.asarray(resized, np.float64) / 255 - 0.5) * slope + 0.5, 0, 1)
