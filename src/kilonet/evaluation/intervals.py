"""How far a measured figure can be trusted: intervals for one model and for several seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats


def wilson(correct: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion, as fractions of 1.

    It speaks about *one* trained model: where its accuracy on all images like the tested ones
    lies. It stays inside [0, 1] and keeps its coverage near 100 %, where the usual ± does not.

    Raises ValueError unless 0 ≤ ``correct`` ≤ ``total``, ``total`` ≥ 1 and 0 < ``confidence`` < 1.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    JASA 22 (1927), as SciPy implements it (no continuity correction).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    result = stats.binomtest(int(correct), int(total))
    interval = result.proportion_ci(confidence_level=confidence, method="wilson")
    return float(interval.low), float(interval.high)


def t_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Return the mean of ``values`` and the half-width of its Student t interval.

    It speaks about a *recipe*: where the mean over all seeds lies, given one value per seed.
    A single value says nothing about the spread, so its half-width is infinite.

    Raises ValueError when there are no values, or unless 0 < ``confidence`` < 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    sample = np.asarray(values, dtype=np.float64)
    if sample.size == 0:
        raise ValueError("an interval needs at least one value")
    mean = float(sample.mean())
    if sample.size == 1:
        return mean, math.inf
    quantile = float(stats.t.ppf((1 + confidence) / 2, sample.size - 1))
    return mean, quantile * float(sample.std(ddof=1)) / math.sqrt(sample.size)
