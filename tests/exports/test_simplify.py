"""The rules that make the list short: what each puts in place of what, and where it holds back."""

from __future__ import annotations

from typing import Any

import numpy as np

from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.lower import simplify
from kilonet.exports.graph.operators import Operator

IMAGE = (1, 8, 8)
ONE, NOTHING = np.ones(1), np.zeros(1)


class Chain:
    """Operators one after the other, from the scaled image to logits."""

    def __init__(self) -> None:
        self.operators: list[Operator] = []
        self.last, self.shape = "image", IMAGE
        self.add(ops.InputScaling, IMAGE, scale=ONE / 255, offset=NOTHING)

    def add(self, kind: type[Operator], shape: tuple[int, ...], *others: str, **rest: Any) -> str:
        name = f"v{len(self.operators)}"
        sources = (self.last, *others)
        self.operators.append(kind(output=name, sources=sources, shape=shape, **rest))
        self.last, self.shape = name, shape  # type: ignore[assignment]
        return name

    def conv(self, out: int = 4, side: int = 8, **rest: Any) -> str:
        weight = np.random.default_rng(0).normal(size=(out, self.shape[0], 3, 3))
        given = {"padding": (1, 1, 1, 1), **rest}
        return self.add(ops.Conv2d, (out, side, side), weight=weight, bias=np.zeros(out), **given)

    def scale(self, value: float = 2.0) -> str:
        channels = self.shape[0]
        numbers = {"scale": np.full(channels, value), "offset": np.ones(channels)}
        return self.add(ops.Scale, self.shape, **numbers)

    def pool(self) -> str:
        channels, height, width = self.shape
        shape = (channels, height // 2, width // 2)
        return self.add(ops.MaxPool, shape, kernel=(2, 2), stride=(2, 2))

    def kinds(self) -> list[str]:
        """Return the kinds that are left, without the image's scaling and the classifier."""
        values = int(np.prod(self.shape))
        self.add(ops.Flatten, (values,))
        weight, bias = np.ones((3, values)), np.zeros(3)
        logits = self.add(ops.Linear, (3,), weight=weight, bias=bias)
        outputs = {"logits": logits, "probabilities": self.add(ops.Softmax, (3,))}
        self.graph = simplify(IMAGE, self.operators, outputs, {})
        kinds = [type(op).__name__ for op in self.graph.operators]
        return kinds[1:-3] if kinds[-3] == "Flatten" else kinds[1:-2]


def test_scale_joins_the_convolution_before_it_through_pooling() -> None:
    chain = Chain()
    chain.conv()
    chain.pool()
    chain.scale()
    chain.add(ops.ReLU, chain.shape)
    assert chain.kinds() == ["Conv2d", "MaxPool"]
    conv = chain.graph.operators[1]
    assert isinstance(conv, ops.Conv2d)
    assert conv.relu
    np.testing.assert_array_equal(conv.bias, np.ones(4))


def test_a_negative_scale_does_not_pass_max_pooling() -> None:
    chain = Chain()
    chain.conv()
    chain.pool()
    chain.scale(-2.0)
    chain.add(ops.ReLU, chain.shape)
    assert chain.kinds() == ["Conv2d", "MaxPool", "Conv2d"]
    conv = chain.graph.operators[3]
    assert isinstance(conv, ops.Conv2d)
    assert (conv.depthwise, conv.relu, conv.kernel) == (True, True, (1, 1))


def test_a_scale_joins_the_convolution_after_it_only_without_zeros_around() -> None:
    for padding, side, expected in [(0, 6, 2), (1, 8, 3)]:
        chain = Chain()
        chain.conv()
        chain.add(ops.SiLU, chain.shape)
        chain.scale()
        chain.conv(padding=(padding,) * 4, side=side)
        assert chain.kinds().count("Conv2d") == expected


def test_a_value_that_others_read_keeps_its_scale_apart() -> None:
    chain = Chain()
    first = chain.conv()
    chain.scale()
    chain.add(ops.Add, chain.shape, first)
    assert chain.kinds() == ["Conv2d", "Conv2d", "Add"]


def test_pixels_are_scaled_once_unless_that_turned_them_over() -> None:
    for value, expected in [(3.0, []), (-3.0, ["Conv2d"])]:
        chain = Chain()
        chain.scale(value)
        chain.add(ops.SiLU, chain.shape)
        assert chain.kinds() == [*expected, "SiLU"]


def test_silu_is_found_from_either_side() -> None:
    for first in (True, False):
        chain = Chain()
        x = chain.conv()
        gate = chain.add(ops.Sigmoid, chain.shape)
        chain.last = x if first else gate
        chain.add(ops.Mul, chain.shape, gate if first else x)
        assert chain.kinds() == ["Conv2d", "SiLU"]


def test_relu_twice_is_once() -> None:
    chain = Chain()
    chain.conv()
    chain.add(ops.ReLU, chain.shape)
    chain.add(ops.ReLU, chain.shape)
    assert chain.kinds() == ["Conv2d"]


def test_a_convolution_of_the_whole_map_is_a_matrix() -> None:
    chain = Chain()
    weight = np.random.default_rng(0).normal(size=(5, 1, 8, 8))
    chain.add(ops.Conv2d, (5, 1, 1), weight=weight, bias=np.zeros(5))
    chain.add(ops.ReLU, (5, 1, 1))
    assert chain.kinds() == ["Flatten", "Linear"]
    linear = chain.graph.operators[2]
    assert isinstance(linear, ops.Linear)
    np.testing.assert_array_equal(linear.weight, weight.reshape(5, 64).astype(np.float32))
    assert linear.relu


def test_values_are_named_after_what_makes_them() -> None:
    chain = Chain()
    chain.conv()
    chain.pool()
    chain.conv(side=4)
    chain.kinds()
    names = [op.output for op in chain.graph.operators]
    assert names == ["scaled1", "conv1", "pool1", "conv2", "flat1", "logits", "probabilities"]
