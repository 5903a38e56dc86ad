"""Readers that turn each kind of ONNX node into an operator of the graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

import numpy as np
import numpy.typing as npt

from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.builder import (
    Constant,
    GraphBuilder,
    Node,
    Tensor,
    Value,
    padding_of,
    pair,
    window_counts,
)
from kilonet.exports.graph.operators import IMAGE, Operator, Shape

NodeReader = Callable[[GraphBuilder, Node, list[Value | None]], Value]


def _tensor(node: Node, value: Value | None) -> Tensor:
    if not isinstance(value, Tensor):
        raise node.unsupported("a constant instead of a value that depends on the image")
    return value


def _constant(node: Node, value: Value | None) -> Constant:
    if value is None or isinstance(value, Tensor):
        raise node.unsupported("weights that depend on the image")
    return value


def _identity(_: GraphBuilder, node: Node, inputs: list[Value | None]) -> Value:
    return _tensor(node, inputs[0])


def _cast(builder: GraphBuilder, node: Node, inputs: list[Value | None]) -> Value:
    """Convert pixels to numbers; casts between floats do nothing."""
    x = _tensor(node, inputs[0])
    if x.name != IMAGE:
        return x
    channels = x.shape[1]
    one, zero = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    return builder.add(ops.InputScaling, node.output, x.shape, x, scale=one, offset=zero)


def _shape(_: GraphBuilder, node: Node, inputs: list[Value | None]) -> Value:
    shape = _tensor(node, inputs[0]).shape
    return np.array(shape[node.get("start", 0) : node.get("end", len(shape))], np.int64)


def _per_channel(node: Node, constant: Constant, x: Tensor) -> npt.NDArray[np.float64]:
    """Return ``constant`` as (C,); broadcast to ``x`` it must give one number per channel."""
    channels = x.image_shape[0]
    padded = constant.reshape((1,) * (len(x.shape) - constant.ndim) + constant.shape)
    if padded.ndim != len(x.shape) or padded.size not in {1, channels}:
        raise node.unsupported("a constant that is not one number per channel")
    if padded.size > 1 and padded.shape[1] != channels:
        raise node.unsupported("a constant that is not one number per channel")
    return np.broadcast_to(padded.ravel().astype(np.float64), (channels,)).copy()


def _arithmetic(builder: GraphBuilder, node: Node, inputs: list[Value | None]) -> Value:
    """Read Add, Sub, Mul and Div of two values, or of one and a constant: a scale and offset."""
    left, right = inputs
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        return _combine(builder, node, left, right)
    x = left if isinstance(left, Tensor) else _tensor(node, right)
    number = _per_channel(node, _constant(node, left if x is right else right), x)
    one, zero = np.ones_like(number), np.zeros_like(number)
    if node.kind == "Div" and x is right:
        raise node.unsupported("a division by a value that depends on the image")
    scale, offset = {
        "Add": (one, number),
        "Mul": (number, zero),
        "Div": (one / np.where(number == 0, np.nan, number), zero),
        "Sub": (one, -number) if x is left else (-one, number),
    }[node.kind]
    return builder.add(ops.Scale, node.output, x.shape, x, scale=scale, offset=offset)


def _combine(builder: GraphBuilder, node: Node, left: Tensor, right: Tensor) -> Tensor:
    if node.kind == "Add" and left.shape == right.shape:
        return builder.add(ops.Add, node.output, left.shape, left, right)
    if node.kind == "Mul":
        if prod(left.shape) < prod(right.shape):
            left, right = right, left
        if right.shape in (left.shape, (*left.shape[:2], 1, 1)):
            return builder.add(ops.Mul, node.output, left.shape, left, right)
    raise node.unsupported(f"two values of the shapes {left.shape} and {right.shape}")


def _conv(builder: GraphBuilder, node: Node, inputs: list[Value | None]) -> Value:
    x, weight = _tensor(node, inputs[0]), _constant(node, inputs[1])
    if weight.ndim != 4 or set(node.get("dilations", [1])) != {1}:
        raise node.unsupported("dilations, or a number of dimensions other than two")
    bias = inputs[2] if len(inputs) > 2 else None
    stride, kernel = pair(node.get("strides", [1, 1])), (weight.shape[2], weight.shape[3])
    padding = padding_of(node, x.shape[2:], kernel, stride)
    sides = window_counts(x.shape[2:], kernel, stride, padding)
    return builder.add(
        ops.Conv2d,
        node.output,
        (1, weight.shape[0], *sides),
        x,
        weight=weight.astype(np.float32),
        bias=_bias(node, bias, weight.shape[0]),
        stride=stride,
        padding=padding,
        groups=int(node.get("group", 1)),
    )


def _bias(node: Node, bias: Value | None, count: int) -> ops.FloatArray:
    if bias is None:
        return np.zeros(count, np.float32)
    return np.broadcast_to(_constant(node, bias).astype(np.float32).ravel(), (count,)).copy()


def _gemm(builder: GraphBuilder, node: Node, inputs: list[Value | None]) -> Value:
    x, weight = _tensor(node, inputs[0]), _constant(node, inputs[1])
    if len(x.shape) != 2 or node.get("transA", 0):
        raise node.unsupported("an input that is not a batch of vectors")
    if not node.get("transB", 0):
        weight = weight.T
    bias = _bias(node, inputs[2] if len(inputs) > 2 else None, weight.shape[0])
    return builder.add(
        ops.Linear,
        node.output,
        (1, weight.shape[0]),
        x,
        weight=(weight * np.float32(node.get("alpha", 1.0))).astype(np.float32),
        bias=bias * np.float32(node.get("beta", 1.0)),
    )


def _matmul(builder: GraphBuilder, node: Node, inputs: list[Value | None]) -> Value:
    x, weight = _tensor(node, inputs[0]), _constant(node, inputs[1])
    if len(x.shape) != 2 or weight.ndim != 2:
        raise node.unsupported("inputs that are not a batch of vectors and a matrix")
    bias, weight = np.zeros(weight.shape[1], np.float32), weight.T.astype(np.float32)
    return builder.add(ops.Linear, node.output, (1, len(bias)), x, weight=weight, bias=bias)


def _batch_norm(builder: GraphBuilder, node: Node, inputs: list[Value | None]) -> Value:
    x = _tensor(node, inputs[0])
    gamma, beta, mean, variance = (
        _constant(node, value).astype(np.float64) for value in inputs[1:5]
    )
    scale = gamma / np.sqrt(variance + node.get("epsilon", 1e-5))
    return builder.add(ops.Scale, node.output, x.shape, x, scale=scale, offset=beta - mean * scale)


def _max_pool(builder: GraphBuilder, node: Node, inputs: list[Value | None]) -> Value:
    x = _tensor(node, inputs[0])
    if set(node.get("dilations", [1])) != {1} or len(x.shape) != 4:
        raise node.unsupported("dilations, or a number of dimensions other than two")
    kernel, stride = pair(node.get("kernel_shape")), pair(node.get("strides", [1, 1]))
    padding = padding_of(node, x.shape[2:], kernel, stride)
    sides = window_counts(x.shape[2:], kernel, stride, padding)
    shape = (*x.shape[:2], *sides)
    return builder.add(
        ops.MaxPool, node.output, shape, x, kernel=kernel, stride=stride, padding=padding
    )


def _average_pool(builder: GraphBuilder, node: Node, inputs: list[Value | None]) -> Value:
    x = _tensor(node, inputs[0])
    kernel, stride = pair(node.get("kernel_shape")), pair(node.get("strides", [1, 1]))
    if len(x.shape) != 4 or any(padding_of(node, x.shape[2:], kernel, stride)):
        raise node.unsupported("padding")
    if kernel == x.shape[2:]:
        return _global_average(builder, node, inputs)
    shape = (*x.shape[:2], *window_counts(x.shape[2:], kernel, stride, (0, 0, 0, 0)))
    return builder.add(ops.AvgPool, node.output, shape, x, kernel=kernel, stride=stride)


def _global_average(builder: GraphBuilder, node: Node, inputs: list[Value | None]) -> Value:
    x = _tensor(node, inputs[0])
    return builder.add(ops.GlobalAvgPool, node.output, (*x.shape[:2], 1, 1), x)


def _reduce_mean(builder: GraphBuilder, node: Node, inputs: list[Value | None]) -> Value:
    x = _tensor(node, inputs[0])
    axes = _constant(node, inputs[1]).tolist() if len(inputs) > 1 else node.get("axes", [])
    if len(x.shape) != 4 or sorted(axis % 4 for axis in axes) != [2, 3]:
        raise node.unsupported("a mean over axes other than height and width")
    if node.get("keepdims", 1):
        return _global_average(builder, node, inputs)
    mean = builder.add(ops.GlobalAvgPool, f"{node.output}_map", (*x.shape[:2], 1, 1), x)
    return _view(builder, node, mean, x.shape[:2])


def _softmax(builder: GraphBuilder, node: Node, inputs: list[Value | None]) -> Value:
    x = _tensor(node, inputs[0])
    if len(x.shape) != 2 or node.get("axis", -1) % 2 != 1:
        raise node.unsupported("an axis other than the last of a batch of vectors")
    return builder.add(ops.Softmax, node.output, x.shape, x)


def _pointwise(kind: type[Operator], **attributes: tuple[str, float]) -> NodeReader:
    """Return a reader for a pointwise operator; ``attributes`` are ONNX's names and defaults."""

    def read(builder: GraphBuilder, node: Node, inputs: list[Value | None]) -> Value:
        x = _tensor(node, inputs[0])
        rest = {key: float(node.get(*entry)) for key, entry in attributes.items()}
        return builder.add(kind, node.output, x.shape, x, **rest)

    return read


def _view(builder: GraphBuilder, node: Node, x: Tensor, shape: Shape) -> Tensor:
    """Add a view of ``x`` in another shape."""
    kind: type[Operator] = (
        ops.Flatten if len(Tensor(node.output, shape).image_shape) == 1 else ops.Reshape
    )
    return builder.add(kind, node.output, shape, x)


def _reshape(builder: GraphBuilder, node: Node, inputs: list[Value | None]) -> Value:
    x, wanted = _tensor(node, inputs[0]), _constant(node, inputs[1]).tolist()
    if not node.get("allowzero", 0):
        wanted = [x.shape[i] if side == 0 else side for i, side in enumerate(wanted)]
    return _view(builder, node, x, np.empty(x.shape, np.bool_).reshape(wanted).shape)


def _flatten(builder: GraphBuilder, node: Node, inputs: list[Value | None]) -> Value:
    x, axis = _tensor(node, inputs[0]), node.get("axis", 1)
    return _view(builder, node, x, (prod(x.shape[:axis]), prod(x.shape[axis:])))


def _squeeze(builder: GraphBuilder, node: Node, inputs: list[Value | None]) -> Value:
    x = _tensor(node, inputs[0])
    axes = _constant(node, inputs[1]).tolist() if len(inputs) > 1 else None
    values = np.empty(x.shape, np.bool_)
    if node.kind == "Unsqueeze":
        return _view(builder, node, x, np.expand_dims(values, tuple(axes or ())).shape)
    return _view(builder, node, x, np.squeeze(values, tuple(axes) if axes else None).shape)


def _gather(builder: GraphBuilder, node: Node, inputs: list[Value | None]) -> Value:
    """Read PyTorch's way to write a view of contiguous memory: all values in order."""
    x, indices = _tensor(node, inputs[0]), _constant(node, inputs[1])
    if len(x.shape) != 1 or not np.array_equal(indices.ravel(), np.arange(x.shape[0])):
        raise node.unsupported("indices other than all values in order")
    return _view(builder, node, x, indices.shape)


def _concat(builder: GraphBuilder, node: Node, inputs: list[Value | None]) -> Value:
    parts = [_tensor(node, value) for value in inputs]
    first = parts[0].shape
    if node.get("axis") % len(first) != 1:
        raise node.unsupported("an axis other than the channels")
    shape = (first[0], sum(part.shape[1] for part in parts), *first[2:])
    return builder.add(ops.Concat, node.output, shape, *parts)


READERS: Mapping[str, NodeReader] = {
    "Add": _arithmetic,
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Concat": _concat,
    "Conv": _conv,
    "Div": _arithmetic,
    "Dropout": _identity,
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_average,
    "Identity": _identity,
    "LeakyRelu": _pointwise(ops.LeakyReLU, slope=("alpha", 0.01)),
    "MatMul": _matmul,
    "MaxPool": _max_pool,
    "Mul": _arithmetic,
    "ReduceMean": _reduce_mean,
    "Relu": _pointwise(ops.ReLU),
    "Reshape": _reshape,
    "Shape": _shape,
    "Sigmoid": _pointwise(ops.Sigmoid),
    "Softmax": _softmax,
    "Squeeze": _squeeze,
    "Sub": _arithmetic,
    "Unsqueeze": _squeeze,
}
