"""The float reference, operator by operator, against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from kilonet.exports.graph.interpret import (
    convolution,
    max_pool,
    sigmoid,
    softmax,
    sum_pool,
    windows,
)

SMALL = st.integers(1, 3)


def numbers(seed: int, *shape: int) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_convolution(data: st.DataObject) -> None:
    groups, per_group, outputs = (data.draw(SMALL) for _ in range(3))
    kernel = (data.draw(SMALL), data.draw(SMALL))
    stride = (data.draw(SMALL), data.draw(SMALL))
    top, left, bottom, right = (data.draw(st.integers(0, 2)) for _ in range(4))
    x = numbers(
        1, 2, groups * per_group, data.draw(st.integers(3, 7)), data.draw(st.integers(3, 7))
    )
    weight = numbers(2, groups * outputs, per_group, *kernel)
    padded = F.pad(torch.from_numpy(x), (left, right, top, bottom))
    expected = F.conv2d(padded, torch.from_numpy(weight), stride=stride, groups=groups)
    found = convolution(x, weight, stride, (top, left, bottom, right), groups)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


@given(SMALL, SMALL, st.integers(0, 1), st.integers(3, 8), st.integers(3, 8))
@settings(max_examples=60, deadline=None)
def test_pooling(kernel: int, stride: int, padding: int, height: int, width: int) -> None:
    padding = min(padding, kernel // 2)
    x = numbers(3, 2, 3, height, width)
    expected = F.max_pool2d(torch.from_numpy(x), kernel, stride, padding)
    sides = (padding,) * 4
    np.testing.assert_array_equal(
        max_pool(x, (kernel,) * 2, (stride,) * 2, sides), expected.numpy()
    )
    mean = F.avg_pool2d(torch.from_numpy(x), kernel, stride)
    found = sum_pool(x, (kernel,) * 2, (stride,) * 2) / kernel**2
    np.testing.assert_allclose(found, mean.numpy(), atol=1e-6)


def test_padding_never_wins() -> None:
    x = np.full((1, 1, 2, 2), 3, np.uint8)
    assert (max_pool(x, (3, 3), (1, 1), (1, 1, 1, 1)) == 3).all()
    assert (max_pool(x - np.float32(9), (3, 3), (1, 1), (1, 1, 1, 1)) == -6).all()


def test_windows_are_views_in_order() -> None:
    x = np.arange(12.0).reshape(1, 1, 3, 4)
    taps = {(i, j): tap.ravel().tolist() for i, j, tap in windows(x, (2, 2), (1, 2), (0, 0, 0, 0))}
    assert taps[0, 0] == [0, 2, 4, 6]
    assert taps[1, 1] == [5, 7, 9, 11]


def test_large_numbers() -> None:
    x = np.array([[-1e4, 0.0, 1e4]])
    np.testing.assert_array_equal(sigmoid(x), [[0.0, 0.5, 1.0]])
    np.testing.assert_array_equal(softmax(x), [[0.0, 0.0, 1.0]])
