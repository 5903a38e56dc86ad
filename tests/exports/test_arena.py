"""The places of buffers: none that are needed at once overlap, and little is wasted."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kilonet.exports.c.arena import Life, arrange

LIVES = st.builds(
    lambda size, first, length: Life(size, first, first + length),
    st.integers(1, 50),
    st.integers(0, 8),
    st.integers(0, 4),
)


@given(st.lists(LIVES, max_size=12))
def test_no_two_that_meet_overlap(found: list[Life]) -> None:
    lives = {str(number): life for number, life in enumerate(found)}
    arena = arrange(lives)
    for name, life in lives.items():
        begin = arena.offsets[name]
        assert 0 <= begin <= begin + life.size <= arena.size
        for other, second in lives.items():
            if other != name and life.meets(second):
                start = arena.offsets[other]
                assert begin + life.size <= start or start + second.size <= begin
    assert arena.size <= sum(life.size for life in found)


@given(st.lists(st.integers(1, 100), min_size=2, max_size=20))
def test_a_chain_needs_its_largest_pair(sizes: list[int]) -> None:
    lives = {str(i): Life(size, i, i + 1) for i, size in enumerate(sizes)}
    pairs = [a + b for a, b in pairwise(sizes)]
    assert max(pairs) <= arrange(lives).size <= 1.5 * max(pairs)


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_an_output_may_reach_into_its_own_input(size: int, out: int, data: st.DataObject) -> None:
    distance = data.draw(st.integers(1, out))
    lives = {"in": Life(size, 0, 1), "out": Life(out, 1, 2), "other": Life(5, 2, 3)}
    arena = arrange(lives, {("out", "in"): distance})
    ahead = arena.offsets["in"] - arena.offsets["out"]
    assert ahead >= distance or -ahead >= size
    assert arena.size <= max(size + distance, out + 5, out + size)
    assert arena.size <= arrange(lives).size


def test_nothing_to_place() -> None:
    assert arrange({}).size == 0
