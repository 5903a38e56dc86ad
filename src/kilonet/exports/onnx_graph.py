"""The typed list as an ONNX model again: batch norm folded, nothing in it that is not needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.operators import IMAGE, LOGITS, PROBABILITIES, Graph, Operator
from kilonet.exports.onnx_writer import Writer


def onnx_model(graph: Graph, *, raw: bool = False) -> Any:
    """Return the ``onnx.ModelProto`` of a network, any number of pictures a batch, checked.

    ``raw``: float32 ``input``, which is normalised already, to ``output``, the logits, with the
    batch axis "batch_size". Otherwise uint8 ``image`` to ``logits`` and ``probabilities``, with
    the axis "batch".
    """
    from onnx import TensorProto

    operators = [op for op in graph.operators if not (raw and _is_end(op))]
    scaled = next(op.output for op in graph.operators if isinstance(op, ops.InputScaling))
    writer = Writer({scaled: "input", LOGITS: "output"} if raw else {})
    for op in operators:
        NODES[type(op)](writer, op)
    if raw:
        return writer.model(graph, (scaled, TensorProto.FLOAT), (LOGITS,), "batch_size")
    return writer.model(graph, (IMAGE, TensorProto.UINT8), (LOGITS, PROBABILITIES), "batch")


def _is_end(op: Operator) -> bool:
    return isinstance(op, ops.InputScaling | ops.Softmax)


def _input_scaling(writer: Writer, op: ops.InputScaling) -> None:
    pixels, times = f"{op.output}_pixels", f"{op.output}_times"
    writer.node("Cast", [op.source], pixels, to=1)  # 1: float32
    scale = writer.weight(f"{op.output}_factor", op.scale.reshape(1, -1, 1, 1))
    offset = writer.weight(f"{op.output}_shift", op.offset.reshape(1, -1, 1, 1))
    writer.node("Mul", [pixels, scale], times)
    writer.node("Add", [times, offset], op.output)


def _conv2d(writer: Writer, op: ops.Conv2d) -> None:
    weight = writer.weight(f"{op.output}_weight", op.weight)
    bias = writer.weight(f"{op.output}_bias", op.bias)
    _with_relu(
        writer,
        op,
        op.relu,
        "Conv",
        [op.source, weight, bias],
        kernel_shape=op.kernel,
        strides=op.stride,
        pads=op.padding,
        group=op.groups,
    )


def _linear(writer: Writer, op: ops.Linear) -> None:
    weight = writer.weight(f"{op.output}_weight", op.weight)
    bias = writer.weight(f"{op.output}_bias", op.bias)
    _with_relu(writer, op, op.relu, "Gemm", [op.source, weight, bias], transB=1)


def _add(writer: Writer, op: ops.Add) -> None:
    _with_relu(writer, op, op.relu, "Add", list(op.sources))


def _with_relu(
    writer: Writer, op: Operator, relu: bool, kind: str, inputs: list[str], **attributes: Any
) -> None:
    made = f"{op.output}_sums" if relu else op.output
    writer.node(kind, inputs, made, **attributes)
    if relu:
        writer.node("Relu", [made], op.output)


def _silu(writer: Writer, op: ops.SiLU) -> None:
    gate = f"{op.output}_gate"
    writer.node("Sigmoid", [op.source], gate)
    writer.node("Mul", [op.source, gate], op.output)


def _reshape(writer: Writer, op: ops.Reshape) -> None:
    shape = writer.weight(f"{op.output}_shape", np.array([-1, *op.shape], np.int64))
    writer.node("Reshape", [op.source, shape], op.output)


def _simple(kind: str, **attributes: Any) -> Callable[[Writer, Operator], None]:
    """Return the writer of a node of the same inputs."""

    def write(writer: Writer, op: Operator) -> None:
        writer.node(kind, list(op.sources), op.output, **attributes)

    return write


def _max_pool(writer: Writer, op: ops.MaxPool) -> None:
    window = {"kernel_shape": op.kernel, "strides": op.stride, "pads": op.padding}
    writer.node("MaxPool", [op.source], op.output, **window)


def _average_pool(writer: Writer, op: ops.AvgPool) -> None:
    window = {"kernel_shape": op.kernel, "strides": op.stride}
    writer.node("AveragePool", [op.source], op.output, **window)


def _leaky_relu(writer: Writer, op: ops.LeakyReLU) -> None:
    writer.node("LeakyRelu", [op.source], op.output, alpha=op.slope)


NODES: Mapping[type[Operator], Callable[[Writer, Any], None]] = {
    ops.InputScaling: _input_scaling,
    ops.Conv2d: _conv2d,
    ops.Linear: _linear,
    ops.MaxPool: _max_pool,
    ops.AvgPool: _average_pool,
    ops.GlobalAvgPool: _simple("GlobalAveragePool"),
    ops.ReLU: _simple("Relu"),
    ops.LeakyReLU: _leaky_relu,
    ops.SiLU: _silu,
    ops.Sigmoid: _simple("Sigmoid"),
    ops.Add: _add,
    ops.Mul: _simple("Mul"),
    ops.Concat: _simple("Concat", axis=1),
    ops.Flatten: _simple("Flatten", axis=1),
    ops.Reshape: _reshape,
    ops.Softmax: _simple("Softmax", axis=1),
}
