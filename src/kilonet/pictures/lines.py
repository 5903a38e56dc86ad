"""Printed lines, which are no ink: rules across a page, and bands and frames along its edge."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from kilonet.pictures.components import Box

Floats: TypeAlias = npt.NDArray[np.float64]

BESIDE = 0.03  # of the picture's height: what is beside a rule is so far from it
LEAST_BESIDE = 2  # pixels, likewise
RULED = 0.75  # of a row, and of one of its ends, must be darker than what is beside it
END = 0.12  # of a row: its ends
LEAST_RULE = 3.0  # grey levels
LINED = 0.96  # of an outermost row must differ from the paper
BAND = 0.05  # of a picture's side: what is broader is no line along its edge
LEAST_BAND = 30.0  # grey levels
ALIKE = 75.0  # grey levels: what is left of bands; more is a table around a sheet
SMALLEST = 18  # pixels: smaller pictures are cut too closely to tell a line from a stroke
NARROWEST = 8  # pixels: likewise, across


def without_rules(grey: Floats) -> Floats:
    """Return ``grey``, (H, W), without thin straight lines from edge to edge, down or across.

    Such a line is as much darker, or brighter, than what is on both sides of it almost all along;
    that much is taken away, so that strokes that cross it stay.
    """
    if max(grey.shape) < SMALLEST or min(grey.shape) < NARROWEST:
        return grey
    return _without_rows(np.ascontiguousarray(_without_rows(grey).T)).T


def _without_rows(grey: Floats) -> Floats:
    reach = max(LEAST_BESIDE, math.ceil(BESIDE * len(grey)))
    padded = np.pad(grey, ((reach, reach), (0, 0)), mode="edge")
    above, below = grey - padded[: -2 * reach], grey - padded[2 * reach :]
    middle = (above + below) / 2
    strength = np.partition(middle, middle.shape[1] // 2, axis=1)[:, middle.shape[1] // 2]
    sign = np.where(strength < 0, -1.0, 1.0)[:, None]
    clear = np.minimum(sign * above, sign * below) > np.abs(strength)[:, None] / 2
    end = math.ceil(END * clear.shape[1])
    parts = clear, clear[:, :end], clear[:, -end:]
    along, first, last = (part.mean(axis=1) >= RULED for part in parts)
    ruled = along & (first | last)
    return grey - np.where(ruled & (np.abs(strength) >= LEAST_RULE), strength, 0.0)[:, None]


def inside_bands(grey: Floats) -> Box | None:
    """Return what is inside lines or dark bands along the edge of ``grey``; None without such.

    A side has one if its outermost row differs much from the paper, almost all along; rows are
    left out until half of that is gone.
    """
    height, width = grey.shape
    if max(height, width) < SMALLEST or min(height, width) < NARROWEST:
        return None
    (top, bottom), (left, right) = _bands(grey), _bands(grey.T)
    if not (top or bottom or left or right):
        return None
    inside = Box(left, top, width - right, height - bottom)
    return inside if _all_alike(grey[top : inside.y1, left : inside.x1]) else None


def _all_alike(grey: Floats) -> bool:
    """Say whether the four sides are about one grey: else there is more than a narrow band."""
    middles = [np.partition(side, len(side) // 2)[len(side) // 2] for side in sides(grey)]
    return bool(max(middles) - min(middles) < ALIKE)


def sides(grey: Floats) -> list[Floats]:
    """Return the first and the last row and column."""
    return [grey[0], grey[-1], grey[:, 0], grey[:, -1]]


def _bands(grey: Floats) -> tuple[int, int]:
    """Return how many rows at the top and at the bottom belong to a band."""
    reach = max(1, math.ceil(BAND * len(grey)))
    inner = grey[[reach, -1 - reach]]
    least = LEAST_BAND / 2 * grey.shape[1]
    steps = np.abs((grey[[0, -1]] - inner).sum(axis=1)).tolist()
    if max(steps) <= least:
        return 0, 0
    level = float(np.partition(inner.ravel(), grey.shape[1])[grey.shape[1]])
    top = _band(grey[: reach + 1] - level) if steps[0] > least else 0
    bottom = _band(grey[: -reach - 2 : -1] - level) if steps[1] > least else 0
    return top, bottom


def _band(rows: Floats) -> int:
    """Return how many rows differ from the paper by half of what the first does, and the one in
    between; 0 if all do."""
    ordered = np.sort(rows, axis=1)
    count = ordered.shape[1]
    few = math.floor((1 - LINED) / 2 * count)
    middle = ordered[:, count // 2]
    ends = float(ordered[0, few]), float(ordered[0, -1 - few])
    if max(ends) > -LEAST_BAND and min(ends) < LEAST_BAND:
        return 0
    within = np.abs(middle) <= abs(middle[0]) / 2
    return int(within.argmax()) + 1 if within.any() else 0
