"""Two models on the same images, two recipes over the same seeds: better, or chance?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike
from scipy import stats

from kilonet.evaluation.intervals import t_interval

_SAME = 1e-12  # differences this close differ by rounding alone


@dataclass(frozen=True)
class McNemar:
    """Outcome of McNemar's exact test of two models on the same images."""

    only_a: int
    """Images that only model A got right."""
    only_b: int
    """Images that only model B got right."""
    p_value: float
    """Two-sided probability of a split at least this uneven if the models were equally good."""

    @property
    def discordant(self) -> int:
        """Images on which the models disagree about being right; only these carry evidence."""
        return self.only_a + self.only_b


def mcnemar(correct_a: ArrayLike, correct_b: ArrayLike) -> McNemar:
    """Compare two models by which of the same images, in the same order, each got right.

    ``correct_a`` and ``correct_b`` are boolean, shape (N,). Images that both got right or both
    got wrong say nothing about the difference; of the rest, equally good models would win half
    each, which is a binomial test. Without any such image the p value is 1.

    Raises ValueError when the shapes differ or are not one-dimensional.

    Source: Q. McNemar, Psychometrika 12 (1947); exact (binomial) form.
    """
    a, b = np.asarray(correct_a, dtype=bool), np.asarray(correct_b, dtype=bool)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"the same images must be judged twice, not {a.shape} and {b.shape}")
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    if only_a + only_b == 0:
        return McNemar(0, 0, 1.0)
    return McNemar(only_a, only_b, float(stats.binomtest(only_a, only_a + only_b).pvalue))


def better_on_more(right_a: ArrayLike, right_b: ArrayLike) -> McNemar:
    """Compare two recipes, each trained with the same seeds, image by image.

    ``right_a`` and ``right_b``, whole numbers of shape (N,), count the seeds whose network got each
    image right. An image counts for the recipe whose seeds got it right more often, so each image
    is one datum however many seeds there are; with one seed it is McNemar's test itself.

    Raises ValueError when the shapes differ or are not one-dimensional.
    """
    a, b = np.asarray(right_a), np.asarray(right_b)
    if a.shape != b.shape:
        raise ValueError(f"the same images must be judged twice, not {a.shape} and {b.shape}")
    return mcnemar(a > b, b > a)


@dataclass(frozen=True)
class Paired:
    """Mean difference over pairs, with its Student t interval and the t-test's p value."""

    differences: tuple[float, ...]
    mean: float
    low: float
    high: float
    p_value: float
    """Two-sided; 1 for a single pair, which says nothing about chance."""


def paired(values: ArrayLike, reference: ArrayLike, confidence: float = 0.95) -> Paired:
    """Return how ``values`` differ from ``reference``, both (N,), pair by pair.

    Where all pairs differ alike there is no spread to hold the mean against: the p value is then
    that of N coins that fall the same way, 2 / 2^N, or 1 where nothing differs.

    Raises ValueError when the shapes differ, there are no pairs, or unless 0 < ``confidence`` < 1.

    Source: Student, "The probable error of a mean", Biometrika 6 (1908); paired form.
    """
    a, b = np.asarray(values, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"pairs need as many values on both sides, not {a.shape} and {b.shape}")
    differences = a - b
    mean, half_width = t_interval(differences.tolist(), confidence)
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
    """Return p values adjusted for having looked at all of them, in the same order.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian
    Journal of Statistics 6 (1979).
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, largest = [math.nan] * len(p_values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted
