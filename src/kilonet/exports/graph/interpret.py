"""A reference interpreter in plain NumPy, which every target is compared with.

The convolution and pooling functions work on many images and any number type. The integer
interpreter uses them too, with whole numbers as float64, which are exact up to 2^53 and, unlike
NumPy's integers, have a fast matrix product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.operators import IMAGE, FloatArray, Graph, Operator, Padding, Pair

Array = npt.NDArray[Any]
Pixels = npt.NDArray[np.uint8]


def interpret(graph: Graph, images: Pixels) -> dict[str, FloatArray]:
    """Return all values of the network by name for ``images`` uint8 (N, C, H, W).

    Each is float32 (N, *shape); "logits" and "probabilities" are among them.
    """
    values: dict[str, Any] = {IMAGE: images}
    for op in graph.operators:
        result = COMPUTE[type(op)](op, *(values[source] for source in op.sources))
        values[op.output] = result.astype(np.float32, copy=False)
    return values


def windows(
    x: Array, kernel: Pair, stride: Pair, padding: Padding, fill: float = 0.0
) -> Iterator[tuple[int, int, Array]]:
    """Yield (i, j, values): the value at row i, column j of each window of ``x`` (N, C, H, W).

    ``padding`` (top, left, bottom, right) is filled with ``fill``; values are (N, C, OH, OW).
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


def max_pool(x: Array, kernel: Pair, stride: Pair, padding: Padding) -> Array:
    """Return the largest value in each window, ignoring the padding."""
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    taps = windows(x, kernel, stride, padding, lowest)
    maximum: Array = np.maximum.reduce([tap for _, _, tap in taps])
    return maximum


def sum_pool(x: Array, kernel: Pair, stride: Pair) -> Array:
    """Return the sum of the values in each window."""
    taps = windows(x, kernel, stride, (0, 0, 0, 0))
    total: Array = np.sum([tap for _, _, tap in taps], axis=0)
    return total


def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + exp(−x)) without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * x))


def softmax(x: Any) -> Any:
    """Return the probabilities of logits (N, K)."""
    powers = np.exp(x - x.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def _input_scaling(op: ops.InputScaling, x: Any) -> Any:
    shape = (1, -1, 1, 1)
    return x * op.scale.reshape(shape) + op.offset.reshape(shape)


def _conv2d(op: ops.Conv2d, x: Any) -> Any:
    y = convolution(x, op.weight, op.stride, op.padding, op.groups)
    return _relu_if(op.relu, y + op.bias.reshape(1, -1, 1, 1))


def _linear(op: ops.Linear, x: Any) -> Any:
    return _relu_if(op.relu, x @ op.weight.T + op.bias)


def _relu_if(wanted: bool, x: Any) -> Any:
    return np.maximum(x, 0) if wanted else x


COMPUTE: Mapping[type[Operator], Callable[..., Any]] = {
    ops.InputScaling: _input_scaling,
    ops.Conv2d: _conv2d,
    ops.Linear: _linear,
    ops.MaxPool: lambda op, x: max_pool(x, op.kernel, op.stride, op.padding),
    ops.AvgPool: lambda op, x: sum_pool(x, op.kernel, op.stride) / np.prod(op.kernel),
    ops.GlobalAvgPool: lambda _, x: x.mean((2, 3), keepdims=True),
    ops.ReLU: lambda _, x: np.maximum(x, 0),
    ops.LeakyReLU: lambda op, x: np.where(x < 0, op.slope * x, x),
    ops.SiLU: lambda _, x: x * sigmoid(x),
    ops.Sigmoid: lambda _, x: sigmoid(x),
    ops.Add: lambda op, x, y: _relu_if(op.relu, x + y),
    ops.Mul: lambda _, x, y: x * y,
    ops.Concat: lambda _, *parts: np.concatenate(parts, axis=1),
    ops.Flatten: lambda op, x: x.reshape(len(x), *op.shape),
    ops.Reshape: lambda op, x: x.reshape(len(x), *op.shape),
    ops.Softmax: lambda _, x: softmax(x),
}
