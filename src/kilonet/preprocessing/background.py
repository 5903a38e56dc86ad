"""How far each pixel stands out from the paper around it, and the paper's own noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from kilonet.preprocessing.lines import sides, without_rules

Floats: TypeAlias = npt.NDArray[np.float64]

EVEN = (
    (0.25, 0.25),
    (3.0, 0.6),
)  # paper is one grey if, give or take so much, so much of the edge is
NEARLY_EVEN = 15.0  # grey levels: unless more of the edge is nearly, but not quite, that grey
REACH = 0.2  # of the longer side, to each side: paper is seen beyond any stroke
TO_DEVIATION = 1.4826  # median absolute deviation to standard deviation, for normal noise
ROUGH, TIMES_GRAIN = 20.0, 3.0  # grey levels, and of the grain: more is no noise but ink all over
TWICE = 2.0  # times the grain: more is no noise that the median missed
NINE_TENTHS = 1.645  # deviations that nine tenths of normal noise keep within
DEVIATIONS = 4.5  # of the paper's noise, that ink must stand out by
FAINTEST = 5.0  # grey levels, likewise


@dataclass(frozen=True, eq=False)
class Relief:
    """By how many grey levels pixels, (H, W), stand out towards the ink; the paper's noise."""

    values: Floats
    noise: float

    @property
    def least(self) -> float:
        """What noise does not reach."""
        return max(DEVIATIONS * self.noise, FAINTEST)

    @cached_property
    def contrast(self) -> float:
        """The mean of what stands out, each pixel weighed by how much it does; 0 for nothing."""
        above = self.values[self.values > self.least]
        return float(np.square(above).sum() / above.sum()) if above.size else 0.0

    @property
    def clarity(self) -> float:
        """How many times the paper's noise, of which there is always some, the contrast is."""
        return self.contrast / max(self.noise, 1)


def without_background(grey: Floats) -> Relief:
    """Return ``grey``, (H, W), less its paper, ink > 0, whichever of the two is darker.

    The picture's edge is taken for paper. Where that is uneven, as in photographs, the paper under
    a stroke is what a morphological closing makes of it (opening, for bright ink): it fills what is
    narrower than its window and keeps everything else, slopes and shadows' edges too. (J. Serra,
    Image Analysis and Mathematical Morphology, 1982; the difference is F. Meyer's top-hat.)
    """
    edge = _edge(grey)
    if edge[-1] - edge[0] > NEARLY_EVEN:
        grey = without_rules(grey)
        edge = _edge(grey)
    level, even = _level(edge)
    if not even:
        relief = _top_hat(grey)
        if relief.noise < max(ROUGH, TIMES_GRAIN * grain(grey)):
            return relief
    return _even(grey, level)


def _edge(grey: Floats) -> Floats:
    return np.sort(np.concatenate(sides(grey)))


def _even(grey: Floats, level: float) -> Relief:
    difference = grey - level
    away = np.abs(difference).ravel()
    near = away[away <= NEARLY_EVEN]
    half, most = near.size // 2, near.size * 9 // 10
    near.partition((half, most))
    noise = TO_DEVIATION * near[half]
    outer = near[most] / NINE_TENTHS
    if outer > noise:
        # Black or white paper hides half of its noise, and its median. Or that is faint ink.
        noise = max(noise, min(outer, TWICE * grain(grey)))
    relief = Relief(difference, float(noise))
    brighter = np.maximum(difference - relief.least, 0).sum()
    darker = np.maximum(-difference - relief.least, 0).sum()
    return Relief(np.maximum(difference if brighter > darker else -difference, 0), relief.noise)


def _level(edge: Floats) -> tuple[float, bool]:
    """Return the commonest grey of a sorted edge, and whether it is that of even paper."""
    level = 0.0
    for width, share in EVEN:
        counts = np.searchsorted(edge, edge + 2 * width, side="right") - np.arange(edge.size)
        first, most = int(counts.argmax()), int(counts.max())
        level = float(edge[first + most // 2])
        near = int((np.abs(edge - level) <= NEARLY_EVEN).sum())
        if most >= share * edge.size and most >= near / 2:
            return level, True
    return level, False


def grain(grey: Floats) -> float:
    """Return the deviation of noise as neighbours show it, to which neither light nor ink adds."""
    return TO_DEVIATION * median(np.abs(np.diff(grey, axis=1)).ravel()) / math.sqrt(2)


def _top_hat(grey: Floats) -> Relief:
    reach = math.ceil(REACH * max(grey.shape))
    # Ink is the rarer of the two, so that it is farther from the mean around than paper is.
    dark = np.power(grey - _mean_around(grey, reach), 3).sum() < 0
    ink = -grey if dark else grey
    difference = ink - _opened(smoothed(ink), reach)
    difference -= median(difference.ravel())  # noise: the paper's lowest is below its middle
    away = np.abs(difference).ravel()
    spread = TO_DEVIATION * median(away)
    return Relief(np.maximum(difference, 0), TO_DEVIATION * median(away[away <= 3 * spread]))


def smoothed(grey: Floats) -> Floats:
    """Return the means of 3×3 pixels; the edge is repeated beyond itself."""
    padded = np.pad(grey, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9


def _mean_around(grey: Floats, reach: int) -> Floats:
    """Return the means of the squares from ``reach`` before to ``reach`` behind each pixel.

    The edge goes on beyond itself. It is counted, not padded: a picture may be one pixel wide.
    """
    for axis in (0, 1):
        values = np.swapaxes(grey, 0, axis)
        count = len(values)
        sums = np.concatenate([np.zeros_like(values[:1]), values.cumsum(0)])
        place = np.arange(count)[:, None]
        upto, since = place + reach + 1, place - reach
        beyond = np.maximum(upto - count, 0) * values[-1] + np.maximum(-since, 0) * values[0]
        inside = sums[np.minimum(upto[:, 0], count)] - sums[np.maximum(since[:, 0], 0)]
        grey = np.swapaxes((inside + beyond) / (2 * reach + 1), 0, axis)
    return grey


def _opened(values: Floats, reach: int) -> Floats:
    """Return the greatest of the least within ``reach``; the edge goes on beyond itself.

    A reach of the picture's own length sees all of it: a longer one finds the same.
    """
    down, across = (min(reach, length - 1) for length in values.shape)
    found = np.pad(values, ((2 * down,) * 2, (2 * across,) * 2), mode="edge")
    for sign in (-1, 1):
        found = sign * _greatest(_greatest(sign * found, down, 0), across, 1)
    return found


def _greatest(values: Floats, reach: int, axis: int) -> Floats:
    """Return the greatest of each 2·reach + 1 in a row; the result is 2·reach shorter."""
    values = np.swapaxes(values, 0, axis)
    length, span = 2 * reach + 1, 1
    count = len(values) - 2 * reach
    while 2 * span <= length:
        values = np.maximum(values[:-span], values[span:])
        span *= 2
    return np.swapaxes(np.maximum(values[:count], values[length - span :][:count]), 0, axis)


def median(values: Floats) -> float:
    """Return the upper median; 0 for no values."""
    if not values.size:
        return 0.0
    return float(np.partition(values, values.size // 2)[values.size // 2])
