"""Remove printed lines, which are not ink: ruled lines on the page, and frames along its border."""

from __future__ import annotations

import math
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from kilonet.preprocessing.components import Box, Integers, Mask

Floats: TypeAlias = npt.NDArray[np.float64]
Value = TypeVar("Value", bound=np.generic)

NEIGHBOUR = 0.03  # of the picture's height: the distance of the rows that a line is compared with
MIN_NEIGHBOUR = 2  # pixels: the least such distance
LINE_SHARE = 0.65  # of a row, and of one of its ends, that must differ from the rows beside it
ROW_END = 0.12  # of a row: its ends
MIN_LINE = 3.0  # grey levels: the least difference of a ruled line
FRAME_SHARE = 0.96  # of an outermost row that must differ from the paper
FRAME_WIDTH = 0.05  # of the picture's side: a wider band is not a frame
MIN_FRAME = 30.0  # grey levels: the least difference of a frame
MAX_REMAINDER = 75.0  # grey levels left along the border without the frame; more is a table
MIN_LONGER_SIDE = 18  # pixels: smaller pictures are cropped too tightly to tell lines from strokes
MIN_SHORTER_SIDE = 8  # pixels: likewise


def remove_ruled_lines(grey: Floats) -> Floats:
    """Return ``grey``, (H, W), without thin straight lines that start at a border, in x or y.

    Almost all along, such a line is darker (or brighter) than both sides of it by one amount. That
    amount is subtracted, so strokes that cross the line stay.
    """
    if _too_small(grey):
        return grey
    return _remove_rows(_remove_rows(grey).T).T


def _too_small(grey: Floats) -> bool:
    height, width = grey.shape
    return bool(max(height, width) < MIN_LONGER_SIDE or min(height, width) < MIN_SHORTER_SIDE)


def _remove_rows(grey: Floats) -> Floats:
    height, width = grey.shape
    reach, end = max(MIN_NEIGHBOUR, math.ceil(NEIGHBOUR * height)), math.ceil(ROW_END * width)
    index = np.arange(height)
    above, below = np.maximum(index - reach, 0), np.minimum(index + reach, height - 1)
    along, first, last = (
        _means_differ(part, above, below) for part in (grey, grey[:, :end], grey[:, -end:])
    )
    rows = np.flatnonzero(along & (first | last))
    if not rows.size:
        return grey
    strength = _line_strength(grey[rows] - grey[above[rows]], grey[rows] - grey[below[rows]], end)
    result = grey.copy()
    result[rows] -= strength[:, None]
    return result


def _means_differ(grey: Floats, above: Integers, below: Integers) -> Mask:
    """Return for each row whether its mean differs from those on both sides: a candidate line."""
    means = grey.mean(axis=1)
    return np.asarray(np.abs(2 * means - means[above] - means[below]) >= MIN_LINE)


def _line_strength(above: Floats, below: Floats, end: int) -> Floats:
    """Return how much each row is a line, 0 if it is none, from its differences to other rows."""
    middle = np.partition((above + below) / 2, above.shape[1] // 2, axis=1)
    strength: Floats = middle[:, above.shape[1] // 2]
    sign = np.where(strength < 0, -1.0, 1.0)[:, None]
    differs = np.minimum(sign * above, sign * below) > np.abs(strength)[:, None] / 2
    parts = differs, differs[:, :end], differs[:, -end:]
    along, first, last = (part.mean(axis=1) >= LINE_SHARE for part in parts)
    is_line = along & (first | last) & (np.abs(strength) >= MIN_LINE)
    return np.where(is_line, strength, 0.0)


def inside_frame(grey: Floats) -> Box | None:
    """Return the box inside lines or dark bands along the border of ``grey``; None without them.

    A side has one if almost all of its outermost row differs clearly from the paper. Rows are
    dropped until half of that difference is gone.
    """
    height, width = grey.shape
    if _too_small(grey) or not _corners_differ(grey):
        return None
    (top, bottom), (left, right) = _frame_rows(grey), _frame_rows(grey.T)
    if not (top or bottom or left or right):
        return None
    inside = Box(left, top, width - right, height - bottom)
    return inside if _borders_alike(grey[top : inside.y1, left : inside.x1]) else None


def _corners_differ(grey: Floats) -> bool:
    """Return whether two corners, which a band along a side covers, differ from points inside."""
    down, across = (math.ceil(FRAME_WIDTH * length) for length in grey.shape)
    inner = sorted(float(grey[y, x]) for y in (down, -1 - down) for x in (across, -1 - across))
    outer = [abs(float(grey[y, x]) - inner[2]) for y in (0, -1) for x in (0, -1)]
    return sorted(outer)[2] >= MIN_FRAME / 2


def _borders_alike(grey: Floats) -> bool:
    """Return whether no side differs from the others; else there is more than a narrow frame."""
    borders = border_lines(grey)
    level = _upper_median(np.concatenate(borders))
    return all(_common_difference(side[None] - level)[0] < MAX_REMAINDER for side in borders)


def _upper_median(values: Floats) -> float:
    return float(np.partition(values, values.size // 2)[values.size // 2])


def _common_difference(rows: Floats) -> Floats:
    """Return how much almost all of each row differs from 0 in one direction."""
    few = math.floor((1 - FRAME_SHARE) / 2 * rows.shape[1])
    ordered = np.sort(rows, axis=1)
    return np.maximum(np.maximum(ordered[:, few], -ordered[:, -1 - few]), 0)


def border_lines(grey: npt.NDArray[Value]) -> list[npt.NDArray[Value]]:
    """Return the first and the last row, and the first and the last column."""
    return [grey[0], grey[-1], grey[:, 0], grey[:, -1]]


def _frame_rows(grey: Floats) -> tuple[int, int]:
    """Return how many rows at the top and at the bottom belong to a frame."""
    reach = max(1, math.ceil(FRAME_WIDTH * len(grey)))
    inner = grey[[reach, -1 - reach]]
    minimum = MIN_FRAME / 2 * grey.shape[1]
    steps = np.abs((grey[[0, -1]] - inner).sum(axis=1)).tolist()
    if max(steps) <= minimum:
        return 0, 0
    level = _upper_median(inner.ravel())
    top = _count_frame_rows(grey[: reach + 1] - level) if steps[0] > minimum else 0
    bottom = _count_frame_rows(grey[: -reach - 2 : -1] - level) if steps[1] > minimum else 0
    return top, bottom


def _count_frame_rows(rows: Floats) -> int:
    """Return how many rows, from the outermost on, belong to a frame; 0 if all do.

    They end with the first row that differs from the paper at most half as much as the outermost.
    """
    differences = _common_difference(rows)
    ends = differences <= differences[0] / 2
    return int(ends.argmax()) + 1 if differences[0] >= MIN_FRAME and ends.any() else 0
