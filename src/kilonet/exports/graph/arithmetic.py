"""Convolution and pooling of many pictures in plain NumPy, in whatever number type they come in.

Both reference interpreters stand on these: the float one, and the integer one, which passes whole
numbers as float64. Those are exact up to 2^53, and unlike NumPy's integers they have a fast matmul.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from kilonet.exports.graph.attributes import Padding, Pair

Array = npt.NDArray[Any]


def windows(
    x: Array, kernel: Pair, stride: Pair, padding: Padding, fill: float = 0.0
) -> Iterator[tuple[int, int, Array]]:
    """Yield (i, j, values): what each window of ``x`` (N, C, H, W) has at row i, column j.

    ``padding`` is (top, left, bottom, right) of ``fill``; values are (N, C, OH, OW).
    """
    top, left, bottom, right = padding
    if any(padding):
        edges = ((0, 0), (0, 0), (top, bottom), (left, right))
        x = np.pad(x, edges, constant_values=fill)
    height = (x.shape[2] - kernel[0]) // stride[0] + 1
    width = (x.shape[3] - kernel[1]) // stride[1] + 1
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            rows = slice(i, i + (height - 1) * stride[0] + 1, stride[0])
            columns = slice(j, j + (width - 1) * stride[1] + 1, stride[1])
            yield i, j, x[:, :, rows, columns]


def convolution(x: Array, weight: Array, stride: Pair, padding: Padding, groups: int) -> Array:
    """Return the cross-correlation of ``x`` (N, C, H, W) with ``weight`` (O, C/groups, KH, KW)."""
    outputs, per_group = weight.shape[:2]
    total: Array | None = None
    for i, j, tap in windows(x, (weight.shape[2], weight.shape[3]), stride, padding):
        pixels = tap.reshape(len(x), groups, per_group, -1)
        factors = weight[:, :, i, j].reshape(groups, outputs // groups, per_group)
        product = factors * pixels if per_group == outputs // groups == 1 else factors @ pixels
        total = product if total is None else total + product
    assert total is not None
    folded: Array = total.reshape(len(x), outputs, *tap.shape[2:])
    return folded


def largest(x: Array, kernel: Pair, stride: Pair, padding: Padding) -> Array:
    """Return the largest value under each window; padding never wins."""
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    taps = windows(x, kernel, stride, padding, lowest)
    found: Array = np.maximum.reduce([tap for _, _, tap in taps])
    return found


def summed(x: Array, kernel: Pair, stride: Pair) -> Array:
    """Return the sum of the values under each window."""
    taps = windows(x, kernel, stride, (0, 0, 0, 0))
    total: Array = np.sum([tap for _, _, tap in taps], axis=0)
    return total
