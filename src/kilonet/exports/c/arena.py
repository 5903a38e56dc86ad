"""Where each value lies in one static array: two share a place unless both are needed at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Life:
    """A buffer of ``size`` elements, needed from step ``first`` to step ``last``."""

    size: int
    first: int
    last: int

    def meets(self, other: Life) -> bool:
        """Say whether both are needed at some step."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Arena:
    """The place of each buffer's first element, and how many elements there are in all."""

    offsets: Mapping[str, int]
    size: int


def arrange(lives: Mapping[str, Life]) -> Arena:
    """Return places for the buffers: the largest first, each at the lowest place that is free.

    No more than the sum of sizes, and seldom more than the most that any step needs (the greedy
    method by size of Pisarchyk and Lee 2020, "Efficient memory management for deep neural net
    inference", section 5).
    """
    placed: dict[str, int] = {}
    for name, life in sorted(lives.items(), key=lambda item: (-item[1].size, item[1].first)):
        others = [other for other in placed if lives[other].meets(life)]
        taken = sorted((placed[other], placed[other] + lives[other].size) for other in others)
        placed[name] = _first_gap(taken, life.size)
    size = max((placed[name] + life.size for name, life in lives.items()), default=0)
    return Arena(placed, size)


def _first_gap(taken: Sequence[tuple[int, int]], size: int) -> int:
    place = 0
    for begin, end in taken:
        if begin - place >= size:
            break
        place = max(place, end)
    return place
