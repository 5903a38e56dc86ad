"""Find what surrounds the drawing: frames, dark bands, the bars of a program's window, its end."""

from __future__ import annotations

import math
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from kilonet.preprocessing.components import Box
from kilonet.preprocessing.filters import stroke_width, upper_median

Floats: TypeAlias = npt.NDArray[np.float64]
Value = TypeVar("Value", bound=np.generic)

FRAME_SHARE = 0.96  # of an outermost row that must differ from the paper
FRAME_WIDTH = 0.05  # of the picture's side: a wider band is not a frame
MIN_FRAME = 30.0  # grey levels: the least difference of a frame
MAX_REMAINDER = 75.0  # grey levels left along the border without the frame; more is a table
MIN_JOINT = 0.02  # of the row beside a line that a stroke which runs into it covers
BAR_WIDTH = 0.25  # of the picture's side: a wider bar is not a window's
BAR_SHARE = 0.8  # of each row of a bar that must differ from the drawing area,
MIN_BAR = 8.0  # by this many grey levels
MAX_BAR_END = 0.005  # of the row beside a bar may differ; more is a stroke that joins it
DRAWN_SHARE = 0.5  # of the pixels that are exactly one grey in a picture that was not photographed
MIN_CONTACT = 2  # pixels of a stroke on the border
CUT_WIDTH = 0.7  # of a stroke's width inside the picture: on the border; the end of one is narrower
MAX_CONTACT = 2.0  # times its width farther inside; longer is a stroke along the border
CUT_INK = 0.75  # of its ink inside the picture: likewise
MIN_LONGER_SIDE = 18  # pixels: smaller pictures are cropped too tightly to tell lines from strokes
MIN_SHORTER_SIDE = 8  # pixels: likewise


def inside_frame(grey: Floats) -> Box | None:
    """Return the box inside lines or dark bands along the border of ``grey``; None without them.

    A side has one if almost all of its outermost row differs clearly from the paper. Rows are
    dropped until half of that difference is gone.
    """
    height, width = grey.shape
    if too_small(grey) or not _corners_differ(grey):
        return None
    (top, bottom), (left, right) = _frame_rows(grey), _frame_rows(grey.T)
    if not (top or bottom or left or right):
        return None
    inside = Box(left, top, width - right, height - bottom)
    inner = grey[top : inside.y1, left : inside.x1]
    sides = [bool(side) for side in (top, bottom, left, right)]
    if sum(sides) == 1 and _is_joined(grey, inner, sides.index(True)):
        return None
    return inside if _borders_alike(inner) else None


def _is_joined(grey: Floats, inner: Floats, side: int) -> bool:
    """Return whether strokes run into the line along one side of a drawing: it is one of them."""
    frame, beside = border_lines(grey)[side], border_lines(inner)[side]
    level = upper_median(beside)
    strokes = np.abs(beside - level) > abs(upper_median(frame) - level) / 2
    return bool(strokes.mean() >= MIN_JOINT) and _is_drawn(np.abs(grey - upper_median(grey)))


def _is_drawn(away: Floats) -> bool:
    """Return whether most pixels have exactly one grey, unlike those of a photograph."""
    return bool((away < 0.5).mean() >= DRAWN_SHARE)


def inside_window(grey: Floats) -> Box | None:
    """Return the box inside the bars of a program's window, in a picture drawn on one grey."""
    level = upper_median(grey)
    away = np.abs(grey - level)
    if too_small(grey) or not _is_drawn(away):
        return None
    differs = away > MIN_BAR
    bars = [_bar_rows(side) for side in (differs, differs[::-1], differs.T, differs.T[::-1])]
    top, bottom, left, right = bars
    height, width = grey.shape
    return Box(left, top, width - right, height - bottom) if any(bars) else None


def _bar_rows(differs: npt.NDArray[np.bool_]) -> int:
    """Return how many rows at the top are a bar; 0 if something is joined to them."""
    shares = differs[: math.ceil(BAR_WIDTH * len(differs)) + 1].mean(axis=1)
    ends = shares < BAR_SHARE
    count = int(ends.argmax()) if ends.any() else 0
    return count if shares[count] <= MAX_BAR_END else 0


def _corners_differ(grey: Floats) -> bool:
    """Return whether two corners, which a band along a side covers, differ from points inside."""
    down, across = (math.ceil(FRAME_WIDTH * length) for length in grey.shape)
    inner = sorted(float(grey[y, x]) for y in (down, -1 - down) for x in (across, -1 - across))
    outer = [abs(float(grey[y, x]) - inner[2]) for y in (0, -1) for x in (0, -1)]
    return sorted(outer)[2] >= MIN_FRAME / 2


def _borders_alike(grey: Floats) -> bool:
    """Return whether no side differs from the others; else there is more than a narrow frame."""
    borders = border_lines(grey)
    level = upper_median(np.concatenate(borders))
    return all(_common_difference(side[None] - level)[0] < MAX_REMAINDER for side in borders)


def _common_difference(rows: Floats) -> Floats:
    """Return how much almost all of each row differs from 0 in one direction."""
    few = math.floor((1 - FRAME_SHARE) / 2 * rows.shape[1])
    ordered = np.sort(rows, axis=1)
    return np.maximum(np.maximum(ordered[:, few], -ordered[:, -1 - few]), 0)


def _frame_rows(grey: Floats) -> tuple[int, int]:
    """Return how many rows at the top and at the bottom belong to a frame."""
    reach = max(1, math.ceil(FRAME_WIDTH * len(grey)))
    inner = grey[[reach, -1 - reach]]
    minimum = MIN_FRAME / 2 * grey.shape[1]
    steps = np.abs((grey[[0, -1]] - inner).sum(axis=1)).tolist()
    if max(steps) <= minimum:
        return 0, 0
    level = upper_median(inner.ravel())
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


def is_cut_off(digit: Box, ink: npt.NDArray[np.bool_], values: Floats) -> bool:
    """Return whether the picture cuts a stroke of ``digit`` off, at one side.

    The end of a stroke is rounded and soft; a stroke that is cut has its full width and its full
    ink on the border, and goes on inside. ``ink`` is the mask of the digit, (H, W). A digit that
    touches two sides or more is taken for one that was cropped closely.
    """
    height, length = ink.shape
    sides = [digit.y0 == 0, digit.x1 == length, digit.y1 == height, digit.x0 == 0]
    if sum(sides) != 1:
        return False
    quarter = sides.index(True)
    width = stroke_width(ink.astype(np.float64))
    near, far = max(1, round(width / 2)), max(2, round(1.2 * width))
    ink, values = np.rot90(ink, quarter), np.rot90(values, quarter)
    return any(
        stop - start > CUT_WIDTH * _width_inside(ink[1 : near + 1], start, stop)
        and stop - start <= MAX_CONTACT * _width_inside(ink[1 : far + 1], start, stop)
        and values[0, start:stop].max() > CUT_INK * values[1:3, start:stop].max()
        for start, stop in _runs(ink[0])
        if stop - start >= MIN_CONTACT
    )


def _width_inside(rows: npt.NDArray[np.bool_], start: int, stop: int) -> int:
    """Return how many pixels of the last row are joined to a run of the row above the first."""
    length = stop - start
    for row in rows:
        joined = [run for run in _runs(row) if run[0] <= stop and run[1] >= start]
        if not joined:
            return 0
        start, stop = joined[0][0], joined[-1][1]
        length = sum(last - first for first, last in joined)
    return length


def _runs(row: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return where each run of a row starts and stops."""
    ends = np.flatnonzero(np.diff(row.astype(np.int8), prepend=0, append=0)).tolist()
    return list(zip(ends[::2], ends[1::2], strict=True))


def too_small(grey: Floats) -> bool:
    """Return whether a picture is cropped too tightly to tell lines from strokes."""
    height, width = grey.shape
    return bool(max(height, width) < MIN_LONGER_SIDE or min(height, width) < MIN_SHORTER_SIDE)


def border_lines(grey: npt.NDArray[Value]) -> list[npt.NDArray[Value]]:
    """Return the first and the last row, and the first and the last column."""
    return [grey[0], grey[-1], grey[:, 0], grey[:, -1]]
