"""Networks in integers: close to the float ones, and nothing in them that 32 bits do not hold."""

from __future__ import annotations

import numpy as np
import pytest
from networks import NAMES, example, example_int8, pictures

from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.interpret import interpret
from kilonet.exports.graph.operators import Graph, UnsupportedOperatorError
from kilonet.exports.int8.encodings import decode
from kilonet.exports.int8.interpret import interpret_int8, sums
from kilonet.exports.int8.operators import QConv2d, QLinear, QuantisedOperator
from kilonet.exports.int8.quantise import quantise


@pytest.mark.parametrize("name", NAMES)
def test_close_to_the_float_network(name: str) -> None:
    graph, images = example(name).graph, pictures(40, seed=7)
    found = example_int8(name)
    real, stored = interpret(graph, images), interpret_int8(found, images)
    error = decode(stored["logits"], found.encodings["logits"]) - real["logits"]
    # batch norm of features that no picture has leaves weights hundreds of times the others'; of
    # random layers with curves, fifteen in a row, each adds to the error
    share = 0.1 if name == "negative-scales" else 0.015
    assert np.square(error).mean() < share * real["logits"].var(0).mean()
    for op in found.operators:
        value = decode(stored[op.output], found.encodings[op.output])
        assert np.abs(value - real[op.output]).mean() < 0.15 * real[op.output].std() + 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_numbers_fit(name: str) -> None:
    found = example_int8(name)
    stored = interpret_int8(found, pictures(6, seed=2))
    for op in found.operators:
        wide = op.output == "logits" or (
            isinstance(op, QuantisedOperator) and op.requantisation.is_int16
        )
        assert stored[op.output].dtype == (np.int16 if wide else np.uint8)
        assert stored[op.output].shape == (6, *op.shape)
        if isinstance(op, QConv2d | QLinear):
            most = np.abs(op.weights.weight.astype(int)).reshape(len(op.weights.offset), -1).sum(1)
            assert (most * 255 < 2**31).all()
            assert np.abs(sums(op, stored[op.source])).max() < 2**31
            assert op.weights.weight.min() >= -127
            assert (op.weights.multiplier >= 1).all()
            assert 1 <= op.weights.shift <= 46


def test_activations_join_what_they_follow() -> None:
    found = example_int8("simple-8k-plus")
    kinds = [type(op).__name__ for op in found.operators]
    assert "QActivation" not in kinds
    assert kinds.count("QConv2d") == 10
    curves = [op.requantisation.activation for op in found.operators if isinstance(op, QConv2d)]
    assert curves == ["silu"] * 10


def test_calibration_decides_the_ranges() -> None:
    graph = example("quick").graph
    dark = quantise(graph, np.zeros((4, 1, 28, 28), np.uint8))
    bright = quantise(graph, pictures(32))
    assert dark.encodings["conv1"].scale != bright.encodings["conv1"].scale


def test_an_image_of_zeros_calibrates_without_a_division_by_zero() -> None:
    graph = example("gap-14k").graph
    found = quantise(graph, np.zeros((2, 1, 28, 28), np.uint8))
    assert np.isfinite(interpret_int8(found, pictures(2))["logits"]).all()


def test_what_has_no_integers_is_named() -> None:
    graph = example("quick").graph
    with pytest.raises(UnsupportedOperatorError, match=r"images of one channel.* have 3"):
        quantise(Graph((3, 28, 28), graph.operators, {}), pictures(2, (3, 28, 28)))
    pooled = ops.MaxPool(
        output="logits", sources=("image",), shape=(10,), kernel=(1, 1), stride=(1, 1)
    )
    last = graph.operators[-1]
    with pytest.raises(UnsupportedOperatorError, match="logits from a Linear"):
        quantise(Graph(graph.image, (*graph.operators[:-2], pooled, last), {}), pictures(2))


def test_deterministic() -> None:
    graph = example("excited").graph
    first, second = (quantise(graph, pictures(16)) for _ in range(2))
    for one, two in zip(first.operators, second.operators, strict=True):
        if isinstance(one, QConv2d | QLinear) and isinstance(two, QConv2d | QLinear):
            np.testing.assert_array_equal(one.weights.weight, two.weights.weight)
            np.testing.assert_array_equal(one.weights.offset, two.weights.offset)


def test_a_quiet_channel_has_finer_steps() -> None:
    found = example_int8("simple-8k-plus")
    for op in found.operators:
        parts = found.encodings[op.output].divisors
        assert all(10 <= part <= 255 for part in parts)
        assert len(parts) in (0, op.shape[0])
        if isinstance(op, QuantisedOperator) and op.requantisation.activation != "none":
            assert op.requantisation.divisors == parts
    assert len(set(found.encodings[found.operators[1].output].divisors)) > 1
    assert not found.encodings["logits"].divisors
