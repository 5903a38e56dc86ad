"""Printed lines, which are no ink: rules across a page, and bands and frames along its edge."""

from __future__ import annotations

import math
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from kilonet.preprocessing.components import Box, Integers, Mask

Floats: TypeAlias = npt.NDArray[np.float64]
Value = TypeVar("Value", bound=np.generic)

BESIDE = 0.03  # of the picture's height: what is beside a rule is so far from it
LEAST_BESIDE = 2  # pixels, likewise
RULED = 0.65  # of a row, and of one of its ends, must be darker than what is beside it
END = 0.12  # of a row: its ends
LEAST_RULE = 3.0  # grey levels
LINED = 0.96  # of an outermost row must differ from the paper
BAND = 0.05  # of a picture's side: what is broader is no line along its edge
LEAST_BAND = 30.0  # grey levels
ALIKE = 75.0  # grey levels: what is left of bands; more is a table around a sheet
SMALLEST = 18  # pixels: smaller pictures are cut too closely to tell a line from a stroke
NARROWEST = 8  # pixels: likewise, across


def without_rules(grey: Floats) -> Floats:
    """Return ``grey``, (H, W), without thin straight lines from an edge on, down or across.

    Such a line is as much darker, or brighter, than what is on both sides of it almost all along;
    that much is taken away, so that strokes that cross it stay.
    """
    if _too_small(grey):
        return grey
    return _without_rows(_without_rows(grey).T).T


def _too_small(grey: Floats) -> bool:
    height, width = grey.shape
    return bool(max(height, width) < SMALLEST or min(height, width) < NARROWEST)


def _without_rows(grey: Floats) -> Floats:
    height, width = grey.shape
    reach, end = max(LEAST_BESIDE, math.ceil(BESIDE * height)), math.ceil(END * width)
    places = np.arange(height)
    before, behind = np.maximum(places - reach, 0), np.minimum(places + reach, height - 1)
    along, first, last = (
        _differ(part, before, behind) for part in (grey, grey[:, :end], grey[:, -end:])
    )
    rows = np.flatnonzero(along & (first | last))
    if not rows.size:
        return grey
    strength = _ruled(grey[rows] - grey[before[rows]], grey[rows] - grey[behind[rows]], end)
    result = grey.copy()
    result[rows] -= strength[:, None]
    return result


def _differ(grey: Floats, before: Integers, behind: Integers) -> Mask:
    """Say of each row whether its mean differs from the ones on both sides: it may be a rule."""
    means = grey.mean(axis=1)
    return np.asarray(np.abs(2 * means - means[before] - means[behind]) >= LEAST_RULE)


def _ruled(above: Floats, below: Floats, end: int) -> Floats:
    """Return by how much each row is a rule, 0 if it is none, from its differences to others."""
    middle = np.partition((above + below) / 2, above.shape[1] // 2, axis=1)
    strength: Floats = middle[:, above.shape[1] // 2]
    sign = np.where(strength < 0, -1.0, 1.0)[:, None]
    clear = np.minimum(sign * above, sign * below) > np.abs(strength)[:, None] / 2
    parts = clear, clear[:, :end], clear[:, -end:]
    along, first, last = (part.mean(axis=1) >= RULED for part in parts)
    ruled = along & (first | last) & (np.abs(strength) >= LEAST_RULE)
    return np.where(ruled, strength, 0.0)


def inside_bands(grey: Floats) -> Box | None:
    """Return what is inside lines or dark bands along the edge of ``grey``; None without such.

    A side has one if its outermost row differs much from the paper, almost all along; rows are
    left out until half of that is gone.
    """
    height, width = grey.shape
    if _too_small(grey) or not _corners_differ(grey):
        return None
    (top, bottom), (left, right) = _bands(grey), _bands(grey.T)
    if not (top or bottom or left or right):
        return None
    inside = Box(left, top, width - right, height - bottom)
    return inside if _all_alike(grey[top : inside.y1, left : inside.x1]) else None


def _corners_differ(grey: Floats) -> bool:
    """Say whether two corners, as a band along a side has, differ from what is a little inside."""
    down, across = (math.ceil(BAND * length) for length in grey.shape)
    inner = sorted(float(grey[y, x]) for y in (down, -1 - down) for x in (across, -1 - across))
    outer = [abs(float(grey[y, x]) - inner[2]) for y in (0, -1) for x in (0, -1)]
    return sorted(outer)[2] >= LEAST_BAND / 2


def _all_alike(grey: Floats) -> bool:
    """Say whether no side is another grey all along: else there is more than a narrow band."""
    around = sides(grey)
    level = _middle(np.concatenate(around))
    return all(_all_along(side[None] - level)[0] < ALIKE for side in around)


def _middle(values: Floats) -> float:
    """Return the upper median."""
    return float(np.partition(values, values.size // 2)[values.size // 2])


def _all_along(rows: Floats) -> Floats:
    """Return by how much nearly all of each row differs from 0, to the same side."""
    few = math.floor((1 - LINED) / 2 * rows.shape[1])
    ordered = np.sort(rows, axis=1)
    return np.maximum(np.maximum(ordered[:, few], -ordered[:, -1 - few]), 0)


def sides(grey: npt.NDArray[Value]) -> list[npt.NDArray[Value]]:
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
    level = _middle(inner.ravel())
    top = _band(grey[: reach + 1] - level) if steps[0] > least else 0
    bottom = _band(grey[: -reach - 2 : -1] - level) if steps[1] > least else 0
    return top, bottom


def _band(rows: Floats) -> int:
    """Return how many rows differ from the paper, almost all along, by half of what the first does,
    and the one in between; 0 if all do."""
    differ = _all_along(rows)
    within = differ <= differ[0] / 2
    return int(within.argmax()) + 1 if differ[0] >= LEAST_BAND and within.any() else 0
