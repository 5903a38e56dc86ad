"""A network as an ONNX file in 8-bit integers: the layers of our own quantiser, as ONNX says them.

Each layer reads bytes, multiplies them with int8 weights and adds up in int32: ConvInteger and
MatMulInteger. Between layers values are float32: sums, pooling and activations lose nothing, and
bytes are made of a value only where a layer reads it. ONNX Runtime's static quantisation has one
scale for all channels of a value and makes bytes of what an activation gets, too, and loses several
times as much.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.interpret import Pixels
from kilonet.exports.graph.operators import (
    IMAGE,
    LOGITS,
    PROBABILITIES,
    Graph,
    Operator,
    UnsupportedOperatorError,
)
from kilonet.exports.int8.fixed import steps_of
from kilonet.exports.int8.operators import FRACTION_BITS, Encoding, QConv2d, QLinear, QuantisedGraph
from kilonet.exports.int8.quantise import quantise
from kilonet.exports.onnx_graph import NODES
from kilonet.exports.onnx_writer import Writer

Layer = ops.Conv2d | ops.Linear


def onnx_int8(graph: Graph, images: Pixels) -> Any:
    """Return the ``onnx.ModelProto`` of ``graph`` in integers, calibrated on ``images``.

    ``images`` are uint8 (N, C, H, W), some hundreds. Inputs and outputs are those of the float
    file.

    Raises:
        UnsupportedOperatorError: an operator has no integer form, or the image several channels.
    """
    from onnx import TensorProto

    work = _Integers(graph, quantise(graph, images))
    for op in graph.operators:
        HOW.get(type(op), _in_float)(work, op)
    return work.writer.model(graph, (IMAGE, TensorProto.UINT8), (LOGITS, PROBABILITIES), "batch")


class _Integers:
    """The file while it is written, and what the quantiser found."""

    def __init__(self, graph: Graph, quantised: QuantisedGraph) -> None:
        self.graph, self.encodings = graph, quantised.encodings
        self.layers = {op.output: op for op in quantised.operators}
        self.writer = Writer({})
        self.bytes: dict[str, str] = {}

    def layer(self, op: Layer) -> QConv2d | QLinear:
        """Return the integer form of ``op``, which may end as the activation that joined it."""
        found = self.layers.get(op.output) or self.layers[self.graph.users(op.output)[0].output]
        assert isinstance(found, QConv2d | QLinear)
        return found

    def bytes_of(self, value: str) -> tuple[str, str]:
        """Return the names of a value's bytes and of their zero; they are made at first need."""
        encoding = self.encodings[value]
        zero = f"{value}_zero"
        if value not in self.bytes:
            self.writer.weight(zero, np.array(_byte(encoding), np.uint8))
            self.bytes[value] = self._quantised(value, encoding, zero)
        return self.bytes[value], zero

    def _quantised(self, value: str, encoding: Encoding, zero: str) -> str:
        steps = np.asarray(steps_of(encoding), np.float32).reshape(-1)
        name = f"{value}_bytes"
        if len(steps) > 1:
            zero = self.writer.weight(
                f"{value}_zeros", np.full(len(steps), encoding.zero, np.uint8)
            )
        scale = self.writer.weight(f"{value}_steps", steps if len(steps) > 1 else steps[0])
        self.writer.node("QuantizeLinear", [value, scale, zero], name, axis=1)
        return name


def _byte(encoding: Encoding) -> int:
    if not 0 <= encoding.zero <= 255:
        raise UnsupportedOperatorError(
            f"An int8 export to ONNX needs a mean of the data between 0 and 255 grey levels, not "
            f"{encoding.zero}. Export it in float, without --int8."
        )
    return encoding.zero


def _in_float(work: _Integers, op: Operator) -> None:
    NODES[type(op)](work.writer, op)


def _input_scaling(work: _Integers, op: ops.InputScaling) -> None:
    """The image's own bytes are what layers read; what else reads it gets scaled values."""
    users = work.graph.users(op.output)
    if not all(isinstance(user, Layer) for user in users):
        _in_float(work, op)
    work.bytes[op.output] = IMAGE
    work.writer.weight(f"{op.output}_zero", np.array(_byte(work.encodings[op.output]), np.uint8))


def _conv2d(work: _Integers, op: ops.Conv2d) -> None:
    window = {
        "kernel_shape": op.kernel,
        "strides": op.stride,
        "pads": op.padding,
        "group": op.groups,
    }
    _layer(work, op, "ConvInteger", work.layer(op).weights.weight, (1, -1, 1, 1), **window)


def _linear(work: _Integers, op: ops.Linear) -> None:
    _layer(work, op, "MatMulInteger", work.layer(op).weights.weight.T, (1, -1))


def _layer(
    work: _Integers,
    op: Layer,
    kind: str,
    weight: npt.NDArray[np.int8],
    by_channel: tuple[int, ...],
    **window: Any,
) -> None:
    """Bytes times int8 weights, plus an int32 bias, times each output channel's scale."""
    writer, name = work.writer, op.output
    scale, bias = _scale_and_bias(work, op)
    source, zero = work.bytes_of(op.source)
    weights = writer.weight(f"{name}_weight", weight)
    writer.node(kind, [source, weights, zero], f"{name}_products", **window)
    offset = writer.weight(f"{name}_bias", bias.reshape(by_channel))
    writer.node("Add", [f"{name}_products", offset], f"{name}_sums")
    scales = writer.weight(f"{name}_scale", scale)
    made = f"{name}_signed" if op.relu else name
    writer.node("DequantizeLinear", [f"{name}_sums", scales], made, axis=1)
    if op.relu:
        writer.node("Relu", [made], name)


def _scale_and_bias(
    work: _Integers, op: Layer
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """Return what 1 in each channel's sums stands for, and its bias in such units."""
    found = work.layer(op)
    weights, line = found.weights, found.finish.curve == "line"
    unit = steps_of(work.encodings[found.output]) if line else 2.0**-FRACTION_BITS
    multiplier = weights.multiplier.astype(np.float64)
    bias = np.rint((weights.offset.astype(np.float64) * 2.0**weights.lift) / multiplier)
    scale = multiplier * 2.0**-weights.shift * np.reshape(unit, -1)
    return scale.astype(np.float32), bias.astype(np.int32)


HOW: Mapping[type[Operator], Callable[[_Integers, Any], None]] = {
    ops.InputScaling: _input_scaling,
    ops.Conv2d: _conv2d,
    ops.Linear: _linear,
}
