"""Two models on the same images: is one better, or is the difference chance?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


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
