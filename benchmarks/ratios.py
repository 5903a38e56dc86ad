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


def ratio(ours: Sequence[Block], theirs: Sequence[Block]) -> Ratio:
    """Return how many times faster ours are: in each round, and over all of them.

    Both were measured in the same rounds, minutes apart at most, so what slows the machine for a
    while slows both.
    """
    pairs = zip(speeds(ours), speeds(theirs), strict=True)
    by_round = [our_speed / their_speed for our_speed, their_speed in pairs]
    return Ratio(by_round=by_round, **spread(by_round).model_dump())
