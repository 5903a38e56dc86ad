"""The places of buffers: none that are needed at once overlap, and little is wasted."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kilonet.exports.c.plan import Lifetime, arrange

LIVES = st.builds(
    lambda size, first, length: Lifetime(size, first, first + length),
    st.integers(1, 50),
    st.integers(0, 8),
    st.integers(0, 4),
)


@given(st.lists(LIVES, max_size=12))
def test_no_two_that_meet_overlap(found: list[Lifetime]) -> None:
    lifetimes = {str(number): life for number, life in enumerate(found)}
    arena = arrange(lifetimes)
    for name, life in lifetimes.items():
        begin = arena.offsets[name]
        assert 0 <= begin <= begin + life.size <= arena.size
        for other, second in lifetimes.items():
            if other != name and life.overlaps(second):
                start = arena.offsets[other]
                assert begin + life.size <= start or start + second.size <= begin
    assert arena.size <= sum(life.size for life in found)


@given(st.lists(st.integers(1, 100), min_size=2, max_size=20))
def test_a_chain_needs_its_largest_pair(sizes: list[int]) -> None:
    lifetimes = {str(i): Lifetime(size, i, i + 1) for i, size in enumerate(sizes)}
    pairs = [a + b for a, b in pairwise(sizes)]
    assert max(pairs) <= arrange(lifetimes).size <= 1.5 * max(pairs)


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_an_output_may_reach_into_its_own_input(size: int, out: int, data: st.DataObject) -> None:
    distance = data.draw(st.integers(1, out))
    lifetimes = {"in": Lifetime(size, 0, 1), "out": Lifetime(out, 1, 2), "other": Lifetime(5, 2, 3)}
    arena = arrange(lifetimes, {("out", "in"): distance})
    ahead = arena.offsets["in"] - arena.offsets["out"]
    assert ahead >= distance or -ahead >= size
    assert arena.size <= max(size + distance, out + 5, out + size)
    assert arena.size <= arrange(lifetimes).size


def test_nothing_to_place() -> None:
    assert arrange({}).size == 0
