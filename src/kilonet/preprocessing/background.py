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

from kilonet.preprocessing.filters import (
    MAD_TO_STD,
    box_mean,
    max_3x3,
    mean_3x3,
    opening,
    pixel_noise,
    upper_median,
)
from kilonet.preprocessing.frame import border_lines

Floats: TypeAlias = npt.NDArray[np.float64]

# Even paper: (tolerance in grey levels, share of the border that must be within it).
EVEN_PAPER = ((0.25, 0.25), (3.0, 0.6))
NEAR_LEVEL = 15.0  # grey levels: at least half of the border within this must be within tolerance
WINDOW = 0.2  # of the longer side, in each direction: wider than any stroke
# More noise than this, in grey levels and in multiples of the pixel noise, is ink all over.
MAX_PAPER_NOISE, MAX_NOISE_RATIO = 20.0, 3.0
MAX_OUTER_RATIO = 2.0  # of the pixel noise: the noise estimate from the 90th percentile
P90_TO_STD = 1.645  # standard deviations that contain 90 % of normal noise
THRESHOLD_STD = 4.5  # standard deviations of the noise that ink must exceed
MIN_THRESHOLD = 5.0  # grey levels that ink must exceed

MIN_CLASS_DISTANCE = 3.0  # between ink and paper, in multiples of the pixel noise
MIN_SEPARATION = 0.7  # of the variance is between ink and paper
CLASS_NOISE = 0.08  # of the distance between ink and paper: their noise, at most

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
    minimum: float = MIN_THRESHOLD

    @property
    def threshold(self) -> float:
        """The value that noise does not reach."""
        return max(THRESHOLD_STD * self.noise, self.minimum)

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
    level, even = _paper_level(np.sort(np.concatenate(border_lines(grey))))
    if not even:
        foreground = _top_hat(grey)
        if foreground.noise < max(MAX_PAPER_NOISE, MAX_NOISE_RATIO * pixel_noise(grey)):
            return foreground
    return _subtract_level(grey, level)


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


def _top_hat(grey: Floats) -> Foreground:
    reach = math.ceil(WINDOW * max(grey.shape))
    # There is less ink than paper, so ink is farther from the local mean.
    dark = np.power(grey - box_mean(grey, reach), 3).sum() < 0
    ink = -grey if dark else grey
    # Means reach beyond the edges of shadows; the maximum does not leave lines there.
    difference = ink - max_3x3(opening(mean_3x3(ink), reach))
    difference -= upper_median(difference.ravel())  # an opening is below the noise's mean
    magnitude = np.abs(difference).ravel()
    spread = MAD_TO_STD * upper_median(magnitude)
    noise = MAD_TO_STD * upper_median(magnitude[magnitude <= 3 * spread])
    return Foreground(np.maximum(difference, 0), noise)


# Pictures cut so close to the digit that they show little paper


def subtract_two_classes(grey: Floats) -> Foreground | None:
    """Return ``grey``, (H, W), minus its paper; None if its grey levels do not form two classes.

    The threshold is N. Otsu's (IEEE Transactions on Systems, Man, and Cybernetics 9(1), 1979). The
    paper is the class that covers more of the picture and of its corners.
    """
    levels = np.floor(grey + 0.5).astype(np.intp)
    counts = np.bincount(levels.ravel(), minlength=256).astype(np.float64)
    below, sums = counts.cumsum(), (counts * np.arange(256)).cumsum()
    total, mean = below[-1], sums[-1] / below[-1]
    between = np.square(mean * below - sums) / np.maximum(below * (1 - below / total), 1e-9)
    level = int(between.argmax())
    share = float(below[level] / total)
    if not 0 < share < 1:
        return None
    low, high = sums[level] / below[level], (sums[-1] - sums[level]) / (total - below[level])
    variance = float((counts * np.square(np.arange(256) - mean)).sum())
    if high - low < max(MIN_LIT_CONTRAST, MIN_CLASS_DISTANCE * pixel_noise(grey)):
        return None
    if between[level] < MIN_SEPARATION * variance:
        return None
    corners = levels[[0, 0, -1, -1], [0, -1, 0, -1]] <= level
    bright = share + corners.mean() > 1  # the ink is brighter than the paper
    values = grey - low if bright else high - grey
    found = Foreground(np.maximum(values, 0), CLASS_NOISE * float(high - low))
    return found if _sharpness(found) >= MIN_SHARPNESS else None


# Light that falls off towards the corners


def subtract_uneven_light(
    grey: Floats, min_snr: float, contrast: tuple[float, float] = (MIN_LIT_CONTRAST, 255)
) -> Foreground | None:
    """Return ``grey``, (H, W), minus a curved surface; None if the result is not convincing.

    It must be sharp, have a ``contrast`` in this range, in grey levels, and a signal-to-noise ratio
    above ``min_snr``.
    """
    if pixel_noise(grey) > MAX_LIT_NOISE:
        return None
    dark, bright = (subtract_surface(grey, dark=dark) for dark in (True, False))
    best = bright if bright.snr > dark.snr else dark
    if best.snr < MIN_LIT_SNR or best.snr <= min_snr:
        return None
    if not contrast[0] <= best.contrast <= contrast[1]:
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
    smooth = Foreground(mean_3x3(foreground.values), foreground.noise / 3, MIN_THRESHOLD / 3)
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
