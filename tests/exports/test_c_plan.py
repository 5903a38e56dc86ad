"""The plan of the C code: fused pooling, views without copies, places in memory."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kilonet.exports.c.plan import Lifetime, arrange, make_plan
from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.operators import Operator

IMAGE = (1, 8, 8)


def conv(output: str, source: str, channels: tuple[int, int], side: int = 8) -> ops.Conv2d:
    into, out = channels
    return ops.Conv2d(
        output=output,
        sources=(source,),
        shape=(out, side, side),
        weight=np.zeros((out, into, 3, 3), np.float32),
        bias=np.zeros(out, np.float32),
        padding=(1, 1, 1, 1),
    )


def pool(output: str, source: str, shape: tuple[int, ...], **rest: object) -> ops.MaxPool:
    window = {"kernel": (2, 2), "stride": (2, 2), **rest}
    return ops.MaxPool(output=output, sources=(source,), shape=shape, **window)  # type: ignore[arg-type]


def linear(source: str, values: int) -> ops.Linear:
    weight, bias = np.zeros((10, values), np.float32), np.zeros(10, np.float32)
    return ops.Linear(output="logits", sources=(source,), shape=(10,), weight=weight, bias=bias)


def ending(source: str, shape: tuple[int, ...]) -> list[Operator]:
    values = int(np.prod(shape))
    flat = ops.Flatten(output="flat", sources=(source,), shape=(values,))
    return [flat, linear("flat", values)]


def test_pooling_joins_the_convolution_that_only_it_reads() -> None:
    chain = [conv("a", "image", (1, 4)), pool("b", "a", (4, 4, 4)), *ending("b", (4, 4, 4))]
    plan = make_plan(IMAGE, chain)
    assert [(step.output, step.pool) for step in plan.steps] == [("b", (2, 2)), ("logits", (1, 1))]
    assert plan.arena.size == 4 * 4 * 4  # the map before pooling is nowhere
    assert plan.place("flat") == plan.place("b") == "arena + 0"
    assert plan.memory("flat") == (4, 4, 4)


def test_pooling_that_overlaps_or_is_not_alone_stays() -> None:
    overlapping = pool("b", "a", (4, 7, 7), stride=(1, 1))
    plan = make_plan(IMAGE, [conv("a", "image", (1, 4)), overlapping, *ending("b", (4, 7, 7))])
    assert [step.output for step in plan.steps] == ["a", "b", "logits"]
    both = [conv("a", "image", (1, 4)), pool("b", "a", (4, 4, 4)), conv("c", "a", (4, 4))]
    plan = make_plan(IMAGE, [*both, *ending("c", (4, 8, 8))])
    assert [step.output for step in plan.steps] == ["a", "b", "c", "logits"]


def test_values_by_value_happen_in_place() -> None:
    silu = ops.SiLU(output="s", sources=("a",), shape=(4, 8, 8))
    add = ops.Add(output="t", sources=("s", "c"), shape=(4, 8, 8))
    chain = [conv("a", "image", (1, 4)), silu, conv("c", "s", (4, 4)), add]
    plan = make_plan(IMAGE, [*chain, *ending("t", (4, 8, 8))])
    assert plan.place("s") == plan.place("a") == plan.place("t")
    assert plan.arena.size == 2 * 4 * 64  # the skip is needed while c is made


def test_a_convolution_reaches_into_its_input_by_rows() -> None:
    chain = [conv("a", "image", (1, 4)), conv("b", "a", (4, 4)), *ending("b", (4, 8, 8))]
    plan = make_plan(IMAGE, chain)
    row = 8 * 4
    assert plan.arena.size == 8 * row + 2 * row  # two rows ahead: its own, and the one above
    places = [plan.arena.offsets[name] for name in ("a", "b")]
    assert places[0] - places[1] == 2 * row


def test_logits_that_are_a_view_are_written_where_they_belong() -> None:
    mean = ops.GlobalAvgPool(output="m", sources=("a",), shape=(10, 1, 1))
    flat = ops.Flatten(output="logits", sources=("m",), shape=(10,))
    plan = make_plan(IMAGE, [conv("a", "image", (1, 10)), mean, flat])
    assert [step.output for step in plan.steps] == ["a", "logits"]
    assert plan.place("m") == plan.place("logits") == "logits"


LIFETIMES = st.builds(
    lambda size, first, length: Lifetime(size, first, first + length),
    st.integers(1, 50),
    st.integers(0, 8),
    st.integers(0, 4),
)


@given(st.lists(LIFETIMES, max_size=12))
def test_buffers_in_use_do_not_overlap(found: list[Lifetime]) -> None:
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
def test_a_chain_needs_the_memory_of_its_largest_pair(sizes: list[int]) -> None:
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
