"""What the paper looks like where there is no ink: a smooth surface, and the noise around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]

FLAT = 6.0  # grey levels: an edge that varies by less has nothing to fit
ROUNDS = 8
RIDGE = 1e-4  # holds the surface flat where too little paper is seen to bend it
TO_DEVIATION = 1.4826  # median absolute deviation to standard deviation, for normal noise


@dataclass(frozen=True, eq=False)
class Ground:
    """Differences from the paper, (H, W) in grey levels, brighter > 0, and the paper's noise."""

    difference: Floats
    noise: float


def without_background(grey: Floats) -> Ground:
    """Return ``grey``, (H, W), less its background.

    The picture's edge is taken for paper. Where it is uneven, a quadratic surface is fitted to
    what is near it, again and again, each time without what the surface before does not explain: a
    trimmed least-squares fit, which ink does not pull.
    """
    edge = np.sort(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))
    level, count = edge[edge.size // 2], edge.size
    difference = grey - level
    if edge[count * 9 // 10] - edge[count // 10] > FLAT:
        return _flattened(grey, difference, np.abs(edge - level))
    return Ground(difference, _noise(difference, FLAT))


def _flattened(grey: Floats, difference: Floats, edge: Floats) -> Ground:
    terms = _terms(*grey.shape)
    values = grey.ravel()
    limit = _limit(_median(edge))
    for _ in range(ROUNDS):
        paper = np.abs(difference.ravel()) < limit
        difference = (values - terms @ _fit(terms[paper], values[paper])).reshape(grey.shape)
        limit = _limit(_median(np.abs(difference.ravel()[paper])))
    return Ground(difference, _noise(difference, limit))


def _limit(median: float) -> float:
    return max(3 * TO_DEVIATION * median, FLAT)


def _noise(difference: Floats, limit: float) -> float:
    away = np.abs(difference).ravel()
    return TO_DEVIATION * _median(away[away <= limit])


def _terms(height: int, width: int) -> Floats:
    """Return 1, x, y, x², xy, y² of every pixel, (H·W, 6); x and y run from −1 to 1."""
    y, x = np.meshgrid(_axis(height), _axis(width), indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6)


def _axis(length: int) -> Floats:
    return (2 * np.arange(length) + 1.0) / length - 1


def _fit(terms: Floats, values: Floats) -> Floats:
    """Return the least-squares coefficients, all but the constant held back by a ridge."""
    middle = values.mean() if values.size else 0.0
    ridge = np.diag([0.0] + [RIDGE * len(values)] * 5) + 1e-9 * np.eye(6)
    found = np.linalg.solve(terms.T @ terms + ridge, terms.T @ (values - middle))
    found[0] += middle
    return np.asarray(found)


def _median(values: Floats) -> float:
    """Return the upper median; 0 for no values."""
    if not values.size:
        return 0.0
    return float(np.partition(values, values.size // 2)[values.size // 2])
