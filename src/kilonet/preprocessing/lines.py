"""Remove printed lines from a picture: the ruled lines or squares of its paper."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from kilonet.preprocessing.components import Integers
from kilonet.preprocessing.filters import pixel_noise, upper_median
from kilonet.preprocessing.frame import border_lines, too_small

Floats: TypeAlias = npt.NDArray[np.float64]

REACH = 0.03  # of the picture's height: a line is compared with the rows at this distance
MIN_REACH = 2  # pixels: the least such distance
STRIP = 8  # columns: a line moves by at most one row from strip to strip
CLEAR_LINE = 12.0  # grey levels: a stronger strip of a line counts little more
NOISE_SHARE = 0.9  # of the noise of pixels, that the middle strip of a line exceeds
LINE_SHARE = 0.65  # of the columns, and of those at each end, in which a line must show
LINE_END = 0.12  # of a line: its ends
MIN_LINE = 3.0  # grey levels: the least strength of a line
MIN_VARIATION = 15.0  # grey levels along the border: less, and no line crosses it
PALE = 1.3  # times the strength of a line that the ink has, if a few lines are to be print
PALE_ALONE = 2.0  # likewise, for the only line in its direction
PALE_APART = 0.5  # likewise, for a line that no stroke meets
MIN_LINES = 3  # lines side by side are print even if they are as dark as the ink
INK_REACH = 0.1  # of the longer side: wider than half of any stroke
INK_PIXELS = 20  # that must be stronger than the lines
MIN_LENGTH = 0.3  # of the picture's width: the least part of a line that must be visible


@dataclass(frozen=True, eq=False)
class Lines:
    """Lines across a picture: the row of each in each column, (N, W); strengths, (N,); widths."""

    rows: Integers
    strength: Floats
    width: Integers


def remove_ruled_lines(grey: Floats, *, bounded: bool = False) -> Floats:
    """Return ``grey``, (H, W), without the thin printed lines that cross it, in x or y.

    A line may be tilted by a few degrees or bent: its path is the best one from strip to strip, by
    dynamic programming. It is print if it is paler or thinner than the ink, or one of several.
    ``bounded`` says that the digit does not reach the border: whatever crosses the picture is
    print then. Only what is as thin as the line is removed, so strokes that cross it stay.
    """
    if too_small(grey) or np.ptp(np.concatenate(border_lines(grey))) <= MIN_VARIATION:
        return grey
    dark = _is_dark(grey)
    ink = grey if dark else -grey
    found = [find_lines(side) for side in (ink, ink.T)]
    if not (len(found[0].rows) or len(found[1].rows)):
        return grey
    if not bounded:
        found = _printed(ink, found)
    for lines in found:
        ink = _erase(ink, lines).T
    return ink if dark else -ink


def _ridge(grey: Floats, reach: int) -> Floats:
    """Return how much darker each pixel is than those ``reach`` rows above and below.

    Where one of these is outside the picture, it continues the slope of the two on the other side.
    """
    result = np.empty_like(grey)
    for part, way in ((result, grey), (result[::-1], grey[::-1])):
        inner = way[reach : 2 * reach]
        outer = 2 * inner - way[2 * reach : 3 * reach]
        part[:reach] = np.minimum(inner, outer) - way[:reach]
    np.minimum(grey[: -2 * reach], grey[2 * reach :], out=result[reach:-reach])
    result[reach:-reach] -= grey[reach:-reach]
    return result


def _is_dark(grey: Floats) -> bool:
    """Return whether thin things are darker than their surroundings; every other pixel counts."""
    half = grey[::2, ::2]
    dark, bright = (
        sum(float(np.square(np.maximum(ridge, 0)).sum()) for ridge in _ridges(ink))
        for ink in (half, -half)
    )
    return dark >= bright


def _ridges(grey: Floats) -> tuple[Floats, Floats]:
    """Return how much darker each pixel is than its surroundings along y, and along x."""
    reach = min(math.ceil(INK_REACH * max(grey.shape)), min(grey.shape) // 3)
    return _ridge(grey, reach), _ridge(grey.T, reach).T


def find_lines(grey: Floats) -> Lines:
    """Return the dark lines from the left side of ``grey``, (H, W), to the right."""
    height, width = grey.shape
    reach = max(MIN_REACH, math.ceil(REACH * height))
    ridge = _ridge(grey, reach)
    count = max(2, width // STRIP)
    starts = np.arange(count + 1) * width // count
    means = np.add.reduceat(ridge, starts[:-1], axis=1).T / np.diff(starts)[:, None]
    paths = _paths(means, reach, pixel_noise(grey))
    if not len(paths):
        return Lines(np.zeros((0, width), np.intp), np.zeros(0), np.zeros(0, np.intp))
    columns, middles = np.arange(width), (starts[1:] + starts[:-1] - 1) / 2
    rows = np.array([np.floor(np.interp(columns, middles, path) + 0.5) for path in paths])
    return _clear_lines(grey, ridge, rows.astype(np.intp), reach)


def _paths(means: Floats, reach: int, noise: float) -> Integers:
    """Return the row of possible lines in each strip, (N, strips), from ridges (strips, H)."""
    count, height = means.shape
    evidence = np.full((count, height + 2 * count), MIN_LINE)  # tilted lines leave the picture
    evidence[:, count:-count] = np.clip(means, 0, CLEAR_LINE) + means / 20
    sums = _best_sums(evidence)
    paths = _trace(sums, reach)
    values = evidence[np.arange(count), paths]
    paths = paths[np.sort(values, axis=1)[:, count // 2] >= max(MIN_LINE, NOISE_SHARE * noise)]
    distances = np.sort(np.abs(paths[:, None] - paths[None]), axis=2)
    apart = distances[:, :, count // 2] > reach
    kept: list[int] = []
    for path in range(len(paths)):
        if apart[path, kept].all():
            kept.append(path)
    result: Integers = paths[kept] - count
    return result


def _best_sums(evidence: Floats) -> Floats:
    """Return the largest sum of a path that ends at each place, (strips, rows + 2)."""
    sums = np.full((evidence.shape[0], evidence.shape[1] + 2), -np.inf)
    sums[0, 1:-1] = evidence[0]
    for strip, before, after in zip(evidence[1:], sums, sums[1:], strict=False):
        after[1:-1] = strip + np.maximum(np.maximum(before[:-2], before[2:]), before[1:-1])
    return sums


def _trace(sums: Floats, reach: int) -> Integers:
    """Return the paths, (N, strips), to the best end of each neighbourhood, the best first."""
    count, last = len(sums), sums[-1]
    around = np.pad(last, reach, constant_values=-np.inf)
    highest = np.max([around[i : i + len(last)] for i in range(2 * reach + 1)], axis=0)
    ends = np.flatnonzero((last == highest) & (last > MIN_LINE * count))
    ends = ends[np.argsort(-last[ends], kind="stable")]
    paths = np.zeros((len(ends), count), dtype=np.intp)
    paths[:, -1] = ends
    for strip in range(count - 2, -1, -1):
        row = paths[:, strip + 1]
        options = np.stack([sums[strip, row], sums[strip, row - 1], sums[strip, row + 1]])
        paths[:, strip] = row + np.array([0, -1, 1])[options.argmax(axis=0)]
    return paths - 1


def _clear_lines(grey: Floats, ridge: Floats, rows: Integers, reach: int) -> Lines:
    """Return the paths, with their rows made exact, along which a line shows almost everywhere."""
    columns, last = np.arange(grey.shape[1]), len(grey) - 1
    near = rows + np.array([0, -1, 1])[:, None, None]
    inside = (near >= 0) & (near <= last)
    values = np.where(inside, ridge[np.clip(near, 0, last), columns], -np.inf)
    peaks = values.max(axis=0)
    rows = np.take_along_axis(near, values.argmax(axis=0)[None], 0)[0]
    lines = [(r, *_line_strength(grey, r, p, reach)) for r, p in zip(rows, peaks, strict=True)]
    lines = [line for line in lines if line[1]]
    found = np.array([line[0] for line in lines], dtype=np.intp).reshape(-1, grey.shape[1])
    width = np.array([line[2] for line in lines], dtype=np.intp)
    return Lines(found, np.array([line[1] for line in lines]), width)


def _line_strength(grey: Floats, rows: Integers, peaks: Floats, reach: int) -> tuple[float, int]:
    """Return the strength and the width of a line; 0 if it does not show almost everywhere.

    ``peaks`` is its ridge, -inf outside the picture. Columns where ink covers it do not count.
    """
    inside = np.isfinite(peaks)
    if inside.mean() < MIN_LENGTH:
        return 0.0, 0
    peaks, rows = peaks[inside], rows[inside]
    beside = _beside(grey, rows, reach, np.flatnonzero(inside))
    paper = np.minimum(beside[0], beside[-1])
    at_border = (rows < 2) | (rows >= len(grey) - 2)
    strength, level = upper_median(peaks), upper_median(paper)
    for _ in range(2):
        shows = peaks > strength / 2
        visible = shows | ~(at_border | (beside[reach] < level - strength / 2))
        if visible.sum() < MIN_LENGTH * grey.shape[1]:
            return 0.0, 0
        strength = upper_median(peaks[visible])
    along = shows[visible]
    end = math.ceil(LINE_END * len(along))
    if (
        strength < MIN_LINE
        or min(along.mean(), along[:end].mean(), along[-end:].mean()) < LINE_SHARE
    ):
        return 0.0, 0
    darkness = (paper - beside)[:, shows].sum(axis=0)
    return strength, max(1, math.floor(upper_median(darkness) / strength + 0.5))


def _beside(grey: Floats, rows: Integers, reach: int, columns: Integers) -> Floats:
    """Return the pixels up to ``reach`` above and below ``rows`` in ``columns``, replicated."""
    offsets = np.arange(-reach, reach + 1)[:, None]
    result: Floats = grey[np.clip(rows + offsets, 0, len(grey) - 1), columns]
    return result


def _printed(grey: Floats, found: list[Lines]) -> list[Lines]:
    """Return the lines, without those that may be strokes of the digit."""
    if max(len(lines.rows) for lines in found) >= MIN_LINES:
        return found
    ink = np.maximum(*_ridges(grey))
    for side, lines in zip((ink, ink.T), found, strict=True):
        for rows, width in zip(lines.rows, lines.width, strict=True):
            around = rows + np.arange(-width, width + 1)[:, None]
            side[np.clip(around, 0, len(side) - 1), np.arange(side.shape[1])] = 0
    strongest = float(np.partition(ink.ravel(), -INK_PIXELS)[-INK_PIXELS])
    return [
        _paler(side, lines, strongest) for side, lines in zip((grey, grey.T), found, strict=True)
    ]


def _paler(grey: Floats, lines: Lines, ink: float) -> Lines:
    pale = PALE if len(lines.rows) > 1 else PALE_ALONE
    keep = np.array(
        [
            strength * (PALE_APART if _is_apart(grey, rows, strength, width) else pale) <= ink
            for rows, strength, width in zip(lines.rows, lines.strength, lines.width, strict=True)
        ],
        dtype=np.bool_,
    )
    return Lines(lines.rows[keep], lines.strength[keep], lines.width[keep])


def _is_apart(grey: Floats, rows: Integers, strength: float, width: int) -> bool:
    """Return whether no stroke meets a line."""
    beside = _beside(grey, rows, width // 2 + 2, np.arange(len(rows)))[[0, -1]]
    return bool((beside > upper_median(beside) - strength / 2).all())


def _erase(grey: Floats, lines: Lines) -> Floats:
    """Return ``grey`` without ``lines``: closings across each, limited by the line's strength."""
    result, columns = grey.copy(), np.arange(grey.shape[1])
    for rows, strength, width in zip(lines.rows, lines.strength, lines.width, strict=True):
        half = width // 2 + 1
        values = _beside(result, rows, half + width + 1, columns)
        inner = values[width + 1 : width + 2 + 2 * half]
        narrow = np.minimum(_closing(values[1:-1], width + 1), inner + PALE * strength)
        limit = np.full((2 * half + 1, 1), PALE / 2 * strength)
        limit[half] = strength
        broad = np.minimum(_closing(values, width + 2), inner + limit)
        at = rows + np.arange(-half, half + 1)[:, None]
        inside = (at >= 0) & (at < len(grey))
        lighter = np.maximum(narrow, broad)[inside]
        result[at[inside], np.broadcast_to(columns, at.shape)[inside]] = lighter
    return result


def _closing(values: Floats, window: int) -> Floats:
    """Return the closing of each column by ``window`` pixels, without the ends."""
    for best in (np.maximum, np.minimum):
        count = len(values) - window + 1
        values = best.reduce([values[i : i + count] for i in range(window)])
    return values
