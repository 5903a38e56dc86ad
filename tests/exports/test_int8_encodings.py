"""Quantisation of values and weights: encodings, channel divisors, integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import NAMES, example, example_int8

from kilonet.exports.c.steps import split_common_factor
from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.operators import Graph
from kilonet.exports.graph.p4 import align_orientations, find_p4_filters, rotate_orientations
from kilonet.exports.int8.encodings import (
    channel_divisors,
    choose_encoding,
    decode,
    encode,
    logit_encoding,
)
from kilonet.exports.int8.operators import QMean, QSum
from kilonet.exports.int8.weights import WeightFormat, fixed_point, quantise_weights, with_bias

RATIOS = st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=3)


@given(RATIOS)
def test_fixed_point(ratios: list[float]) -> None:
    multipliers, shift = fixed_point(ratios)
    assert shift >= 1
    assert max(multipliers) <= 2**15 or shift == 1
    for ratio, multiplier in zip(ratios, multipliers, strict=True):
        assert abs(multiplier * 2.0**-shift - ratio) <= 2.0**-14 * max(ratios)


@given(st.floats(-50, 0), st.floats(0.01, 50), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_encodings_hold_zero_and_most_values(low: float, high: float, seed: int) -> None:
    values = np.random.default_rng(seed).uniform(low, high, 500)
    encoding = choose_encoding(values)
    assert 0 <= encoding.zero_point <= 255
    assert decode(encode(np.zeros(1), encoding), encoding)[0] == 0
    error = decode(encode(values, encoding), encoding) - values
    assert np.sqrt(np.square(error).mean()) <= (high - low) / 255


def test_a_rare_outlier_is_cut() -> None:
    values = np.abs(np.random.default_rng(0).normal(size=50_000))
    values[0] = 3 * values.max()
    assert choose_encoding(values).scale * 255 < 0.97 * values.max()


def test_the_sample_has_all_columns() -> None:
    values = np.full((128, 28, 28, 28), 5.0)
    values[..., 0] = 0.1  # a regular step through so many values would meet this column alone
    assert 4.9 < choose_encoding(values).scale * 255 < 5.1


def test_nothing_but_zeros() -> None:
    encoding = choose_encoding(np.zeros(9))
    assert decode(encode(np.zeros(9), encoding), encoding).tolist() == [0] * 9


def test_logits_have_headroom() -> None:
    encoding = logit_encoding(np.array([-3.0, 8.0]))
    assert 8 * 3.9 < encoding.scale * 32767 < 8 * 4.1


@given(st.integers(0, 999), st.floats(1e-4, 10), st.floats(1e-4, 10))
@settings(max_examples=60, deadline=None)
def test_weights(seed: int, scale: float, unit: float) -> None:
    generator = np.random.default_rng(seed)
    weight = generator.normal(size=(5, 3, 2, 2)) * generator.uniform(0.2, 1, (5, 1, 1, 1))
    bias = generator.normal(size=5)
    found = quantise_weights(weight, bias, scale, unit, np.ones_like(weight))
    step = found.multiplier * (2.0**-found.shift * unit / scale)
    error = found.weight * step.reshape(5, 1, 1, 1) - weight
    peak = np.abs(weight).reshape(5, -1).max(1)
    assert (np.abs(error).reshape(5, -1).max(1) <= 0.5 * peak).all()
    assert np.sqrt(np.square(error).mean()) < 0.01 * peak.max()
    real = found.offset * 2.0 ** (found.offset_shift - found.shift) * unit
    assert np.abs(real - bias).max() <= 2.0**-14 * max(
        np.abs(bias).max(), 2.0**-found.shift * unit * 2**15
    )


@pytest.mark.parametrize("byte_scales", [False, True])
def test_p4_filters_have_the_same_integers(byte_scales: bool) -> None:
    base = np.random.default_rng(3).normal(size=(3, 8, 3, 3))
    scale = np.random.default_rng(4).uniform(0.6, 1.6, 12)
    every = np.repeat(base[:, None], 4, axis=1)
    weight = rotate_orientations(every, regular=True) * scale[:, None, None, None]
    p4 = find_p4_filters(weight, 1)
    found = quantise_weights(
        weight, scale, 0.1, 0.1, np.ones_like(weight), WeightFormat(byte_scales, p4)
    )
    back = align_orientations(found.weight, regular=True)
    assert (back == back[:, :1]).all()
    step = found.multiplier * 2.0**-found.shift
    error = np.abs(found.weight * step[:, None, None, None] - weight).reshape(12, -1).max(1)
    assert (error < 0.02 * np.abs(weight).reshape(12, -1).max(1)).all()
    multipliers, _ = split_common_factor(found.multiplier)
    offsets, _ = split_common_factor(found.offset)
    assert bool(multipliers.max() <= 255 and np.abs(offsets).max() <= 127) == byte_scales


def test_a_weight_that_nothing_passes_coarsens_no_other() -> None:
    weight = np.random.default_rng(0).normal(size=(3, 40))
    squares = np.ones_like(weight)
    weight[:, 7], squares[:, 7] = 300, 0
    found = quantise_weights(weight, np.zeros(3), 0.1, 0.1, squares)
    step = found.multiplier * 2.0**-found.shift
    error = np.delete(found.weight * step[:, None] - weight, 7, axis=1)
    assert np.abs(error).max() < 0.05


def test_a_channel_of_zeros_stays_zero() -> None:
    weight = np.ones((2, 4))
    weight[0] = 0
    found = quantise_weights(weight, np.array([0.5, 0.25]), 0.1, 0.1, np.ones_like(weight))
    assert not found.weight[0].any()
    moved = with_bias(found, np.array([-0.5, 0.0]), 0.1)
    assert moved.offset[0] < 0 == moved.offset[1]
    assert moved.weight is found.weight


def test_divisors_reduce_the_error_of_small_channels() -> None:
    values = np.random.default_rng(0).normal(size=(50, 3, 8, 8)) * [[[[1]], [[0.1]], [[5]]]]
    common, own = choose_encoding(values), choose_encoding(values, (50, 158, 22))
    quiet = [
        np.square(decode(encode(values, encoding), encoding) - values)[:, 1].mean()
        for encoding in (common, own)
    ]
    assert quiet[1] < quiet[0] / 10
    assert own.divisors == (50, 158, 22)


def test_large_channels_have_the_smaller_divisors() -> None:
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


def test_orientation_channels_share_divisors() -> None:
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


@pytest.mark.parametrize("name", NAMES)
def test_sums_and_means_share_divisors_with_their_sources(name: str) -> None:
    found = example_int8(name)
    assert {op.output for op in example(name).graph.operators} >= {
        op.output for op in found.operators
    }
    for op in found.operators:
        if isinstance(op, QSum | QMean) and op.requantisation.activation == "none":
            sources = {found.encodings[source].divisors for source in op.sources}
            assert sources == {found.encodings[op.output].divisors}
