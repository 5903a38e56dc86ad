"""Speeds and their ratios, round by round, with the spread between the rounds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.contest import Block
from benchmarks.results import Ratio, Spread


def spread(values: Sequence[float]) -> Spread:
    """Return the median and quartiles of at least one value, interpolated linearly."""
    if len(values) == 1:
        return Spread(median=values[0], lower_quartile=values[0], upper_quartile=values[0])
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median=middle, lower_quartile=low, upper_quartile=high)


def speeds(blocks: Sequence[Block]) -> list[float]:
    """Return images a second, block by block."""
    return [block.images_per_second for block in blocks]


def ratio(first: Sequence[Block], second: Sequence[Block]) -> Ratio:
    """Return how many times faster ``first`` is than ``second``, by round and overall.

    Both are measured in the same rounds, so a slower machine slows both.
    """
    pairs = zip(speeds(first), speeds(second), strict=True)
    by_round = [own / other for own, other in pairs]
    return Ratio(by_round=by_round, **spread(by_round).model_dump())
