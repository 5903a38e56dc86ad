"""Parts of scales: finer steps for quiet channels, in common where channels are scaled alike."""

from __future__ import annotations

import numpy as np
from networks import NAMES, example, example_int8

from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.operators import Graph
from kilonet.exports.int8.encodings import channel_divisors, choose_encoding, decode, encode
from kilonet.exports.int8.operators import QMean, QSum


def test_quiet_channels_lose_less() -> None:
    values = np.random.default_rng(0).normal(size=(50, 3, 8, 8)) * [[[[1]], [[0.1]], [[5]]]]
    common, own = choose_encoding(values), choose_encoding(values, (50, 158, 22))
    quiet = [
        np.square(decode(encode(values, encoding), encoding) - values)[:, 1].mean()
        for encoding in (common, own)
    ]
    assert quiet[1] < quiet[0] / 10
    assert own.divisors == (50, 158, 22)


def test_loud_channels_have_the_smaller_parts() -> None:
    real = {"a": np.random.default_rng(0).normal(size=(50, 3, 8, 8)) * [[[[1]], [[4]], [[0]]]]}
    conv = ops.Conv2d(
        output="a",
        sources=("image",),
        shape=(3, 8, 8),
        weight=np.zeros((3, 1, 1, 1), np.float32),
        bias=np.zeros(3, np.float32),
    )
    found = channel_divisors(Graph((1, 8, 8), (conv,)), real, {}, set())["a"]
    assert found[1] < found[0] < found[2] == 255
    assert 1.8 < found[0] / found[1] < 2.2  # the root of 4
    assert channel_divisors(Graph((1, 8, 8), (conv,)), real, {}, {"a"}) == {}


def test_parts_by_fours() -> None:
    spread = np.array([1, 2, 4, 8, 0.2, 0.3, 0.2, 0.3]).reshape(1, 8, 1, 1)
    real = {"a": np.random.default_rng(0).normal(size=(50, 8, 8, 8)) * spread}
    conv = ops.Conv2d(
        output="a",
        sources=("image",),
        shape=(8, 8, 8),
        weight=np.zeros((8, 1, 1, 1), np.float32),
        bias=np.zeros(8, np.float32),
    )
    found = channel_divisors(Graph((1, 8, 8), (conv,)), real, {}, set(), {"a"})["a"]
    assert found == (found[0],) * 4 + (255,) * 4


def test_what_is_added_or_averaged_has_its_parts_in_common() -> None:
    for name in NAMES:
        found = example_int8(name)
        assert {op.output for op in example(name).graph.operators} >= {
            op.output for op in found.operators
        }
        for op in found.operators:
            if isinstance(op, QSum | QMean) and op.requantisation.activation == "none":
                sources = {found.encodings[source].divisors for source in op.sources}
                assert sources == {found.encodings[op.output].divisors}
