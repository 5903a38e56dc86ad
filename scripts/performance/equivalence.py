"""Whether a recipe trained the fast way reaches what it reaches the plain way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy import stats


@dataclass(frozen=True)
class Difference:
    """The mean of the second sample minus that of the first, with its 90 % interval.

    The interval is Welch's, for two samples of unequal variance. That it lies within ±margin is
    the test of equivalence at the 5 % level (two one-sided tests; Schuirmann 1987).
    """

    mean: float
    low: float
    high: float

    def within(self, margin: float) -> bool:
        """Say whether the interval lies within ±``margin``."""
        return -margin <= self.low and self.high <= margin


def difference(first: Sequence[float], second: Sequence[float]) -> Difference | None:
    """Return the difference; None where one of the samples is too small to have a spread."""
    if min(len(first), len(second)) < 2:
        return None
    found = stats.ttest_ind(second, first, equal_var=False)
    if stdev(first) == stdev(second) == 0:
        return None
    interval = found.confidence_interval(0.9)
    return Difference(fmean(second) - fmean(first), float(interval.low), float(interval.high))
