"""Paper in very uneven light, as in photographs with dark corners: a curved surface."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from kilonet.preprocessing.background import TO_DEVIATION, Relief, grain, median, smoothed

Floats: TypeAlias = npt.NDArray[np.float64]

ROUNDS = 8
INK_WEIGHT = 0.05  # of pixels on the ink's side of the paper, while the paper is looked for
PAPER = 2.0  # times the paper's own deviation: what is farther on the ink's side is ink
RIDGE = 1e-6  # of the pixels' number: a picture may be one pixel wide
GRAINIEST = 30.0  # grey levels between neighbours: more is no paper in uneven light
LIT = 6.0  # times its noise: ink in uneven light has no less contrast,
LEAST_LIT = 16.0  # nor less than so many grey levels,
SHARP = 0.12  # and its edge has so much of that from one pixel to the next; light has less


def in_uneven_light(grey: Floats, clarity: float) -> Relief | None:
    """Return what stands out from a curved surface, if that is clearer than ``clarity``."""
    if grain(grey) > GRAINIEST:
        return None
    dark, bright = (without_light(grey, dark=dark) for dark in (True, False))
    lit = bright if bright.clarity > dark.clarity else dark
    if lit.clarity < LIT or lit.clarity <= clarity or lit.contrast < LEAST_LIT:
        return None
    return lit if _sharpness(lit) >= SHARP else None


def without_light(grey: Floats, *, dark: bool) -> Relief:
    """Return ``grey``, (H, W), less its paper, which is a polynomial of degree 2 in both places.

    It is fitted by asymmetric least squares (W. Newey and J. Powell, Econometrica 55(4), 1987), in
    which ink counts for little, and once more to what then is paper. Ink is ``dark`` or bright.
    """
    ink = grey if dark else -grey
    calm, terms = smoothed(ink).ravel(), _terms(grey.shape)
    weights = np.ones_like(calm)
    for _ in range(ROUNDS):
        above = calm - _fitted(terms, calm, weights)
        weights = np.where(above < 0, INK_WEIGHT, 1.0)
    paper = above >= -PAPER * median(above[above >= 0])
    difference = _fitted(terms, calm, paper.astype(np.float64)).reshape(grey.shape) - ink
    noise = TO_DEVIATION * median(-difference[difference <= 0])
    return Relief(np.maximum(difference, 0), max(noise, grain(grey)))


def _sharpness(relief: Relief) -> float:
    """Return the mean step over the edge of what stands out, in means of 3×3, by its contrast."""
    calm = Relief(smoothed(relief.values), relief.noise / 3)
    inside = calm.values > max(calm.least, calm.contrast / 2)
    steps = [np.abs(np.diff(calm.values, axis=axis))[np.diff(inside, axis=axis)] for axis in (0, 1)]
    count = sum(step.size for step in steps)
    return float(sum(step.sum() for step in steps) / count / calm.contrast) if count else 0.0


def _terms(shape: tuple[int, ...]) -> Floats:
    """Return the terms of the polynomial at each pixel's centre, (H·W, 6)."""
    height, width = shape
    y = np.repeat((2 * np.arange(height) + 1) / height - 1, width)
    x = np.tile((2 * np.arange(width) + 1) / width - 1, height)
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)


def _fitted(terms: Floats, values: Floats, weights: Floats) -> Floats:
    """Return the least squares fit of ``values``, by the normal equations."""
    weighted = terms * weights[:, None]
    ridge = RIDGE * len(terms) * np.eye(terms.shape[1])
    return np.asarray(terms @ np.linalg.solve(weighted.T @ terms + ridge, weighted.T @ values))
