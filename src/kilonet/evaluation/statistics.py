"""Statistics of accuracies: confidence intervals, and tests of whether a difference is chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike
from scipy import stats

CONFIDENCE = 0.95  # of all intervals
_SAME = 1e-12  # smaller differences are rounding errors


def wilson(correct: int, total: int) -> tuple[float, float]:
    """Return the Wilson score 95 % interval of a proportion, as fractions of 1.

    The interval is for *one* trained model: it covers the model's accuracy on all images like the
    tested ones. It stays inside [0, 1] and is accurate near 0 % and 100 %.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    JASA 22 (1927), as SciPy implements it (no continuity correction).
    """
    result = stats.binomtest(int(correct), int(total))
    interval = result.proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean of ``values``, one or more, and the half-width of its 95 % t interval.

    The interval is for a *recipe*: it covers the mean over all seeds, given one value per seed.
    A single value says nothing about the spread, so its half-width is infinite.
    """
    sample = np.asarray(values, dtype=np.float64)
    mean = float(sample.mean())
    if sample.size == 1:
        return mean, math.inf
    quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, sample.size - 1))
    return mean, quantile * float(sample.std(ddof=1)) / math.sqrt(sample.size)


@dataclass(frozen=True)
class McNemar:
    """Result of McNemar's exact test of two models on the same images."""

    only_a: int
    """Images that only model A classified correctly."""
    only_b: int
    """Images that only model B classified correctly."""
    p_value: float
    """Two-sided probability of a split at least this uneven if the models were equally good."""


def mcnemar(correct_a: ArrayLike, correct_b: ArrayLike) -> McNemar:
    """Compare two models by the images that each classified correctly.

    ``correct_a`` and ``correct_b`` are boolean, shape (N,), for the same images in the same order.
    Images that both models got right or wrong say nothing about the difference. Two equally good
    models would each win half of the other images; a binomial test compares with that. Without any
    such image the p value is 1.

    Raises ValueError when the shapes differ or are not one-dimensional.

    Source: Q. McNemar, Psychometrika 12 (1947); exact (binomial) form.
    """
    a, b = np.asarray(correct_a, dtype=bool), np.asarray(correct_b, dtype=bool)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"both models need the same images, not shapes {a.shape} and {b.shape}")
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    if only_a + only_b == 0:
        return McNemar(0, 0, 1.0)
    return McNemar(only_a, only_b, float(stats.binomtest(only_a, only_a + only_b).pvalue))


def better_on_more(correct_a: ArrayLike, correct_b: ArrayLike) -> McNemar:
    """Compare two recipes that were trained with the same seeds, image by image.

    ``correct_a`` and ``correct_b``, integers of shape (N,), count for each image the seeds whose
    network classified it correctly. An image counts for the recipe with the higher count, so each
    image is one observation, whatever the number of seeds. With one seed this is McNemar's test.
    """
    a, b = np.asarray(correct_a), np.asarray(correct_b)
    return mcnemar(a > b, b > a)


@dataclass(frozen=True)
class Paired:
    """Mean difference over pairs, with its Student t interval and the t-test's p value."""

    differences: tuple[float, ...]
    mean: float
    low: float
    high: float
    p_value: float
    """Two-sided; 1 for a single pair."""


def paired(values: ArrayLike, reference: ArrayLike) -> Paired:
    """Compare ``values`` with ``reference``, both (N,), pair by pair.

    If all differences are equal, there is no spread for a t-test. The p value is then that of a
    sign test, 2 / 2^N, or 1 if all differences are 0.

    Source: Student, "The probable error of a mean", Biometrika 6 (1908); paired form.
    """
    differences = np.subtract(values, reference, dtype=np.float64)
    mean, half_width = t_interval(differences.tolist())
    return Paired(
        tuple(differences.tolist()), mean, mean - half_width, mean + half_width,
        _p_value(differences),
    )  # fmt: skip


def _p_value(differences: npt.NDArray[np.float64]) -> float:
    if differences.size < 2 or bool((abs(differences) < _SAME).all()):
        return 1.0
    if float(np.ptp(differences)) < _SAME:
        return 2.0 ** (1 - differences.size)
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return ``p_values`` adjusted for multiple comparisons, in the same order.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian
    Journal of Statistics 6 (1979).
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, largest = [math.nan] * len(p_values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted
