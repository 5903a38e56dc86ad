"""Where each value lies in one static array: two share a place unless both are needed at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Lifetime:
    """A buffer of ``size`` elements, needed from step ``first`` to step ``last``."""

    size: int
    first: int
    last: int

    def meets(self, other: Lifetime) -> bool:
        """Say whether both are needed at some step."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Arena:
    """The place of each buffer's first element, and how many elements there are in all."""

    offsets: Mapping[str, int]
    size: int


Distances = Mapping[tuple[str, str], int]
"""For (output, input) of a step that reads its input row by row and nobody reads it afterwards: how
far before the input's first element the output must begin, at least, for no row to be overwritten
before it was read."""


def arrange(lifetimes: Mapping[str, Lifetime], distances: Distances | None = None) -> Arena:
    """Return places for the buffers: the largest first, each where the whole grows least.

    Never more than the sum of sizes (after the greedy method by size of Pisarchyk and Lee 2020,
    "Efficient memory management for deep neural net inference", section 5). An output may reach
    into the memory of its own input as ``distances`` allow (Blacker et al. 2020, "Diagonal memory
    optimisation for machine learning on micro-controllers").
    """
    placed: dict[str, int] = {}
    bottom, top = 0, 0
    for name, life in sorted(lifetimes.items(), key=lambda item: (-item[1].size, item[1].first)):
        barred = [
            _barred(name, other, lifetimes, placed[other], distances or {})
            for other in placed
            if lifetimes[other].meets(life)
        ]
        spans = [
            (max(top, place + life.size) - min(bottom, place), place) for place in _free(barred)
        ]
        _, place = min(spans)
        placed[name] = place
        bottom, top = min(bottom, place), max(top, place + life.size)
    return Arena({name: place - bottom for name, place in placed.items()}, top - bottom)


def _barred(
    name: str, other: str, lifetimes: Mapping[str, Lifetime], place: int, distances: Distances
) -> tuple[int, int]:
    """Return the places, first and last, at which ``name`` may not begin because of ``other``."""
    before = distances.get((name, other), lifetimes[name].size)
    after = distances.get((other, name), lifetimes[other].size)
    return place - before + 1, place + after - 1


def _free(barred: Sequence[tuple[int, int]]) -> list[int]:
    """Return the places next to barred ones, and 0, that are not barred themselves."""
    ends = {0, *(first - 1 for first, _ in barred), *(last + 1 for _, last in barred)}
    return [place for place in ends if not any(first <= place <= last for first, last in barred)]
