"""The list of operators run in plain NumPy: slow, short, and what every target is held to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.arithmetic import convolution, largest, summed
from kilonet.exports.graph.operators import IMAGE, FloatArray, Graph, Operator

Pixels = npt.NDArray[np.uint8]


def interpret(graph: Graph, images: Pixels) -> dict[str, FloatArray]:
    """Return every value of the network, by name, for ``images`` uint8 (N, C, H, W).

    Each is float32 (N, *shape); "logits" and "probabilities" among them.
    """
    values: dict[str, Any] = {IMAGE: images}
    for op in graph.operators:
        result = RULES[type(op)](op, *(values[source] for source in op.sources))
        values[op.output] = result.astype(np.float32, copy=False)
    return values


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(−x)), of numbers of any size."""
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


RULES: Mapping[type[Operator], Callable[..., Any]] = {
    ops.InputScaling: _input_scaling,
    ops.Conv2d: _conv2d,
    ops.Linear: _linear,
    ops.MaxPool: lambda op, x: largest(x, op.kernel, op.stride, op.padding),
    ops.AvgPool: lambda op, x: summed(x, op.kernel, op.stride) / np.prod(op.kernel),
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
