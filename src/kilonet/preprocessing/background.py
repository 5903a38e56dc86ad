"""Subtract the paper from a grey picture: what remains is the ink, and an estimate of the noise.

``subtract_background`` handles even paper and, with a morphological top-hat, uneven paper.
``subtract_uneven_light`` fits a curved surface, for photographs with dark corners.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from kilonet.preprocessing.lines import border_lines, remove_ruled_lines

Floats: TypeAlias = npt.NDArray[np.float64]

# Even paper: (tolerance in grey levels, share of the border that must be within it).
EVEN_PAPER = ((0.25, 0.25), (3.0, 0.6))
NEAR_LEVEL = 15.0  # grey levels: at least half of the border within this must be within tolerance
WINDOW = 0.2  # of the longer side, in each direction: wider than any stroke
MAD_TO_STD = 1.4826  # median absolute deviation to standard deviation, for normal noise
# More noise than this, in grey levels and in multiples of the pixel noise, is ink all over.
MAX_PAPER_NOISE, MAX_NOISE_RATIO = 20.0, 3.0
MAX_OUTER_RATIO = 2.0  # of the pixel noise: the noise estimate from the 90th percentile
P90_TO_STD = 1.645  # standard deviations that contain 90 % of normal noise
THRESHOLD_STD = 4.5  # standard deviations of the noise that ink must exceed
MIN_THRESHOLD = 5.0  # grey levels that ink must exceed

FIT_ROUNDS = 8
INK_WEIGHT = 0.05  # weight of pixels on the ink's side of the surface during the fit
PAPER_STD = 2.0  # deviations of the paper: pixels farther on the ink's side are ink
RIDGE = 1e-6  # times the number of pixels: keeps the fit solvable if the picture is 1 pixel wide
MAX_LIT_NOISE = 30.0  # grey levels of pixel noise: more is not paper in uneven light
MIN_LIT_SNR = 6.0  # ink in uneven light has at least this signal-to-noise ratio,
MIN_LIT_CONTRAST = 16.0  # this contrast in grey levels,
MIN_SHARPNESS = 0.12  # and edges that change by this share of the contrast from pixel to pixel


@dataclass(frozen=True, eq=False)
class Foreground:
    """How many grey levels each pixel, (H, W), differs from the paper, ink > 0; and the noise."""

    values: Floats
    noise: float

    @property
    def threshold(self) -> float:
        """The value that noise does not reach."""
        return max(THRESHOLD_STD * self.noise, MIN_THRESHOLD)

    @cached_property
    def contrast(self) -> float:
        """The mean of the values above the threshold, weighted by themselves; 0 if none is."""
        above = self.values[self.values > self.threshold]
        return float(np.square(above).sum() / above.sum()) if above.size else 0.0

    @property
    def snr(self) -> float:
        """The signal-to-noise ratio; noise below one grey level counts as one."""
        return self.contrast / max(self.noise, 1)


def subtract_background(grey: Floats) -> Foreground:
    """Return ``grey``, (H, W), minus its paper, whether the ink is darker or brighter.

    The border of the picture is taken as paper. If that is uneven, as in photographs, the paper's
    level under a stroke is a morphological closing (for bright ink an opening): it fills everything
    narrower than its window and keeps slopes and the edges of shadows. (J. Serra, Image Analysis
    and Mathematical Morphology, 1982; the difference is F. Meyer's top-hat transform.)
    """
    border = _sorted_border(grey)
    if border[-1] - border[0] > NEAR_LEVEL:
        grey = remove_ruled_lines(grey)
        border = _sorted_border(grey)
    level, even = _paper_level(border)
    if not even:
        foreground = _top_hat(grey)
        if foreground.noise < max(MAX_PAPER_NOISE, MAX_NOISE_RATIO * pixel_noise(grey)):
            return foreground
    return _subtract_level(grey, level)


def _sorted_border(grey: Floats) -> Floats:
    return np.sort(np.concatenate(border_lines(grey)))


def _paper_level(border: Floats) -> tuple[float, bool]:
    """Return the most common grey of a sorted border, and whether the paper is even."""
    level = 0.0
    for tolerance, share in EVEN_PAPER:
        ends = np.searchsorted(border, border + 2 * tolerance, side="right")
        counts = ends - np.arange(border.size)
        first, count = int(counts.argmax()), int(counts.max())
        level = float(border[first + count // 2])
        near = int((np.abs(border - level) <= NEAR_LEVEL).sum())
        if count >= share * border.size and count >= near / 2:
            return level, True
    return level, False


def _subtract_level(grey: Floats, level: float) -> Foreground:
    difference = grey - level
    magnitude = np.abs(difference).ravel()
    near = magnitude[magnitude <= NEAR_LEVEL]
    half, nine_tenths = near.size // 2, near.size * 9 // 10
    near.partition((half, nine_tenths))
    noise = MAD_TO_STD * near[half]
    outer = near[nine_tenths] / P90_TO_STD
    if outer > noise:
        # Clipping at black or white hides half of the noise, and the median with it; or this is
        # faint ink, and the noise between neighbouring pixels limits the estimate.
        noise = max(noise, min(outer, MAX_OUTER_RATIO * pixel_noise(grey)))
    both = Foreground(difference, float(noise))
    brighter = np.maximum(difference - both.threshold, 0).sum()
    darker = np.maximum(-difference - both.threshold, 0).sum()
    return Foreground(np.maximum(difference if brighter > darker else -difference, 0), both.noise)


def pixel_noise(grey: Floats) -> float:
    """Return the standard deviation of the noise, from the differences of neighbouring pixels."""
    return MAD_TO_STD * upper_median(np.abs(np.diff(grey, axis=1)).ravel()) / math.sqrt(2)


def _top_hat(grey: Floats) -> Foreground:
    reach = math.ceil(WINDOW * max(grey.shape))
    # There is less ink than paper, so ink is farther from the local mean.
    dark = np.power(grey - _box_mean(grey, reach), 3).sum() < 0
    ink = -grey if dark else grey
    difference = ink - _opening(mean_3x3(ink), reach)
    difference -= upper_median(difference.ravel())  # an opening is below the noise's mean
    magnitude = np.abs(difference).ravel()
    spread = MAD_TO_STD * upper_median(magnitude)
    noise = MAD_TO_STD * upper_median(magnitude[magnitude <= 3 * spread])
    return Foreground(np.maximum(difference, 0), noise)


# Light that falls off towards the corners


def subtract_uneven_light(grey: Floats, min_snr: float) -> Foreground | None:
    """Return ``grey``, (H, W), minus a curved surface; None if the result is not convincing.

    It must be sharp, have some contrast, and have a signal-to-noise ratio above ``min_snr``.
    """
    if pixel_noise(grey) > MAX_LIT_NOISE:
        return None
    dark, bright = (subtract_surface(grey, dark=dark) for dark in (True, False))
    best = bright if bright.snr > dark.snr else dark
    if best.snr < MIN_LIT_SNR or best.snr <= min_snr or best.contrast < MIN_LIT_CONTRAST:
        return None
    return best if _sharpness(best) >= MIN_SHARPNESS else None


def subtract_surface(grey: Floats, *, dark: bool) -> Foreground:
    """Return ``grey``, (H, W), minus its paper, modelled as a polynomial of degree 2 in x and y.

    It is fitted by asymmetric least squares (W. Newey and J. Powell, Econometrica 55(4), 1987),
    which gives ink a small weight, then once more to the pixels found to be paper. ``dark`` says
    whether the ink is darker than the paper.
    """
    ink = grey if dark else -grey
    smooth, terms = mean_3x3(ink).ravel(), _polynomial_terms(grey.shape)
    weights = np.ones_like(smooth)
    for _ in range(FIT_ROUNDS):
        above = smooth - _least_squares(terms, smooth, weights)
        weights = np.where(above < 0, INK_WEIGHT, 1.0)
    paper = above >= -PAPER_STD * upper_median(above[above >= 0])
    surface = _least_squares(terms, smooth, paper.astype(np.float64)).reshape(grey.shape)
    difference = surface - ink
    noise = MAD_TO_STD * upper_median(-difference[difference <= 0])
    return Foreground(np.maximum(difference, 0), max(noise, pixel_noise(grey)))


def _sharpness(foreground: Foreground) -> float:
    """Return the mean step across the edges of the ink, in means of 3×3, relative to contrast."""
    smooth = Foreground(mean_3x3(foreground.values), foreground.noise / 3)
    ink = smooth.values > max(smooth.threshold, smooth.contrast / 2)
    steps = [np.abs(np.diff(smooth.values, axis=axis))[np.diff(ink, axis=axis)] for axis in (0, 1)]
    count = sum(step.size for step in steps)
    return float(sum(step.sum() for step in steps) / count / smooth.contrast) if count else 0.0


def _polynomial_terms(shape: tuple[int, ...]) -> Floats:
    """Return 1, x, y, x², xy, y² at each pixel's centre, (H·W, 6); x and y from -1 to 1."""
    height, width = shape
    y = np.repeat((2 * np.arange(height) + 1) / height - 1, width)
    x = np.tile((2 * np.arange(width) + 1) / width - 1, height)
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)


def _least_squares(terms: Floats, values: Floats, weights: Floats) -> Floats:
    """Return the weighted least-squares fit of ``values``, from the normal equations."""
    weighted = terms * weights[:, None]
    ridge = RIDGE * len(terms) * np.eye(terms.shape[1])
    return np.asarray(terms @ np.linalg.solve(weighted.T @ terms + ridge, weighted.T @ values))


# Filters


def mean_3x3(grey: Floats) -> Floats:
    """Return the means of 3×3 pixels, with the border replicated."""
    padded = np.pad(grey, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9


def _box_mean(grey: Floats, reach: int) -> Floats:
    """Return the means of squares of 2·reach + 1 pixels, with the border replicated.

    Replicated pixels are counted instead of padded, because ``reach`` may exceed the picture.
    """
    for axis in (0, 1):
        values = np.swapaxes(grey, 0, axis)
        count = len(values)
        sums = np.concatenate([np.zeros_like(values[:1]), values.cumsum(0)])
        index = np.arange(count)[:, None]
        stop, start = index + reach + 1, index - reach
        outside = np.maximum(stop - count, 0) * values[-1] + np.maximum(-start, 0) * values[0]
        inside = sums[np.minimum(stop[:, 0], count)] - sums[np.maximum(start[:, 0], 0)]
        grey = np.swapaxes((inside + outside) / (2 * reach + 1), 0, axis)
    return grey


def _opening(values: Floats, reach: int) -> Floats:
    """Return the morphological opening by a square of 2·reach + 1, with the border replicated.

    A reach beyond the picture's own length gives the same result as that length.
    """
    down, across = (min(reach, length - 1) for length in values.shape)
    result = np.pad(values, ((2 * down,) * 2, (2 * across,) * 2), mode="edge")
    for sign in (-1, 1):
        result = sign * _running_max(_running_max(sign * result, down, 0), across, 1)
    return result


def _running_max(values: Floats, reach: int, axis: int) -> Floats:
    """Return the maximum of each 2·reach + 1 consecutive values; the result is 2·reach shorter."""
    values = np.swapaxes(values, 0, axis)
    length, span = 2 * reach + 1, 1
    count = len(values) - 2 * reach
    while 2 * span <= length:
        values = np.maximum(values[:-span], values[span:])
        span *= 2
    return np.swapaxes(np.maximum(values[:count], values[length - span :][:count]), 0, axis)


def upper_median(values: Floats) -> float:
    """Return the upper median; 0 for no values."""
    if not values.size:
        return 0.0
    return float(np.partition(values, values.size // 2)[values.size // 2])
