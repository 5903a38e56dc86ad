"""A network as an ONNX file in 8-bit integers: the layers of our own quantiser, as ONNX says them.

Each layer reads bytes, multiplies them with int8 weights and adds up in int32: ConvInteger and
MatMulInteger, whose weights have 128 added. Between layers values are float32: sums, pooling and
activations lose nothing, and bytes are made of a value only where a layer reads it. What a
depthwise layer reads has a zero for each channel besides a scale: SiLU leaves channels that are
next to nothing but negative, and with a common zero these would have a few levels of their 256.
ONNX Runtime's static quantisation has one scale for all channels of a value and makes bytes of what
an activation gets, too, and loses several times as much.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.interpret import RULES, Pixels, interpret
from kilonet.exports.graph.operators import (
    IMAGE,
    LOGITS,
    PROBABILITIES,
    Graph,
    Operator,
    UnsupportedOperatorError,
)
from kilonet.exports.int8.fixed import LEVELS, steps_of
from kilonet.exports.int8.operators import FRACTION_BITS, Encoding, QConv2d, QLinear, QuantisedGraph
from kilonet.exports.int8.quantise import quantise
from kilonet.exports.onnx_graph import NODES
from kilonet.exports.onnx_writer import Writer

Layer = ops.Conv2d | ops.Linear

ROOM = 1.2
"""How much larger than in any calibration image a value may become."""


def onnx_int8(graph: Graph, images: Pixels) -> Any:
    """Return the ``onnx.ModelProto`` of ``graph`` in integers, calibrated on ``images``.

    ``images`` are uint8 (N, C, H, W), some hundreds. Inputs and outputs are those of the float
    file.

    Raises:
        UnsupportedOperatorError: an operator has no integer form, or the image several channels.
    """
    from onnx import TensorProto

    work = _Integers(graph, quantise(graph, images), interpret(graph, images), images)
    for op in graph.operators:
        HOW.get(type(op), _in_float)(work, op)
    return work.writer.model(graph, (IMAGE, TensorProto.UINT8), (LOGITS, PROBABILITIES), "batch")


class _Integers:
    """The file while it is written, what the quantiser found, and the float network's values."""

    def __init__(
        self,
        graph: Graph,
        quantised: QuantisedGraph,
        real: Mapping[str, npt.NDArray[Any]],
        images: Pixels,
    ) -> None:
        self.graph, self.encodings, self.real = graph, quantised.encodings, real
        self.images = images
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
        encoding = self.widened(value)
        zero = f"{value}_zero"
        if value not in self.bytes:
            self.writer.weight(zero, np.array(_byte(encoding), np.uint8))
            self.bytes[value] = self._quantised(value, encoding, zero)
        return self.bytes[value], zero

    def widened(self, value: str) -> Encoding:
        """Return the encoding of a value, with steps such that all that was seen fits.

        The quantiser cuts off what is rare, and most values lose less by it; but the few pictures
        that have such values lose most, and theirs are the labels that change.
        """
        encoding, real = self.encodings[value], self.real[value]
        if self.bytes.get(value) == IMAGE:
            return encoding
        levels = real / steps_of(encoding, real.ndim)
        beyond = float(levels.max()) / max(LEVELS - encoding.zero, 0.5)
        below = -float(levels.min()) / max(encoding.zero, 0.5)
        wider = max(1.0, beyond, below)
        return replace(encoding, scale=encoding.scale * wider, zero=round(encoding.zero / wider))

    def _quantised(self, value: str, encoding: Encoding, zero: str) -> str:
        steps = np.asarray(steps_of(encoding)).reshape(-1)
        if len(steps) > 1:
            return self.quantised(value, value, steps, np.full(len(steps), encoding.zero))
        scale = self.writer.weight(f"{value}_steps", steps[0].astype(np.float32))
        self.writer.node("QuantizeLinear", [value, scale, zero], f"{value}_bytes")
        return f"{value}_bytes"

    def quantised(
        self, value: str, name: str, steps: npt.NDArray[Any], zeros: npt.NDArray[Any]
    ) -> str:
        """Make bytes of a value, with a step and a zero for each channel; return their name."""
        scales = self.writer.weight(f"{name}_steps", steps.astype(np.float32))
        offsets = self.writer.weight(f"{name}_zeros", zeros.astype(np.uint8))
        self.writer.node("QuantizeLinear", [value, scales, offsets], f"{name}_bytes", axis=1)
        return f"{name}_bytes"

    def mean(self, value: str) -> npt.NDArray[Any]:
        """Return the mean of each channel of an int32 value over the calibration images."""
        (found,) = self.writer.run(self.graph, self.images, value)
        return np.asarray(found.mean((0, *range(2, found.ndim)), dtype=np.float64))


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
    window = {"kernel_shape": op.kernel, "strides": op.stride, "group": op.groups}
    if op.depthwise and op.source not in work.bytes:
        _depthwise(work, op, window)
        return
    source = work.bytes_of(op.source)
    weight = work.layer(op).weights.weight
    _sums(work, op, "ConvInteger", source, weight, window | {"pads": op.padding})
    _finished(work, op, *_widened(work, op), (1, -1, 1, 1))


def _depthwise(work: _Integers, op: ops.Conv2d, window: dict[str, Any]) -> None:
    """Each channel on its own: its steps and its zero go into its scale and its bias.

    Zeros around the map are laid there before bytes are made, since they are other bytes in each.
    """
    steps, zeros = _by_channel(work.real[op.source])
    weight = work.layer(op).weights.weight
    value, name = op.source, op.output
    if any(op.padding):
        top, left, bottom, right = op.padding
        around = work.writer.weight(
            f"{name}_pads", np.array([0, 0, top, left, 0, 0, bottom, right], np.int64)
        )
        value = f"{name}_padded"
        work.writer.node("Pad", [op.source, around], value)
    source = work.quantised(value, f"{name}_input", steps, zeros)
    _sums(work, op, "ConvInteger", (source,), weight, window)
    scale, bias = _scale_and_bias(work, op)
    finer = np.asarray(steps_of(work.encodings[op.source])) / steps
    total = weight.astype(np.int64).sum((1, 2, 3))
    _finished(work, op, scale / finer, np.rint(bias * finer) - zeros * total, (1, -1, 1, 1))


def _by_channel(values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the step and the zero of each channel of ``values`` (N, C, H, W), which all fit.

    A channel's own 256 levels are fine enough to cut nothing off, and ``ROOM`` is left.
    """
    low = np.minimum(values.min((0, 2, 3)), 0).astype(np.float64)
    high = np.maximum(values.max((0, 2, 3)), 0).astype(np.float64) * ROOM
    steps = np.maximum(high - low, 1e-9) / LEVELS
    return steps, np.rint(-low / steps)


def _linear(work: _Integers, op: ops.Linear) -> None:
    """Weights are unsigned, around 128.

    With signed ones ONNX Runtime adds products up by twos in 16 bits on processors with AVX2 and
    without VNNI, and what does not fit is cut off.
    """
    source = work.bytes_of(op.source)
    weight = (work.layer(op).weights.weight.T.astype(np.int16) + 128).astype(np.uint8)
    middle = work.writer.weight(f"{op.output}_weight_zero", np.array(128, np.uint8))
    _sums(work, op, "MatMulInteger", (*source, middle), weight, {})
    _finished(work, op, *_widened(work, op), (1, -1))


def _sums(
    work: _Integers,
    op: Layer,
    kind: str,
    source: tuple[str, ...],
    weight: npt.NDArray[np.int8 | np.uint8],
    window: dict[str, Any],
) -> None:
    """Bytes times weights; ``source`` names the bytes' zero and the weights' too unless 0."""
    name = op.output
    weights = work.writer.weight(f"{name}_weight", weight)
    work.writer.node(kind, [source[0], weights, *source[1:]], f"{name}_products", **window)


def _finished(
    work: _Integers,
    op: Layer,
    scale: npt.NDArray[Any],
    bias: npt.NDArray[Any],
    by_channel: tuple[int, ...],
) -> None:
    """The products plus an int32 bias, times each output channel's scale.

    The bias moves by how far rounding, here and in all layers before, has moved the mean of the
    sums (as in ``int8.quantise``, whose own network differs between layers).
    """
    writer, name = work.writer, op.output
    sums = bias + work.mean(f"{name}_products")
    bias = bias + np.rint(_mean_before_relu(work, op) / scale - sums)
    offset = writer.weight(f"{name}_bias", bias.astype(np.int32).reshape(by_channel))
    writer.node("Add", [f"{name}_products", offset], f"{name}_sums")
    scales = writer.weight(f"{name}_scale", scale.astype(np.float32))
    made = f"{name}_signed" if op.relu else name
    writer.node("DequantizeLinear", [f"{name}_sums", scales], made, axis=1)
    if op.relu:
        writer.node("Relu", [made], name)


def _mean_before_relu(work: _Integers, op: Layer) -> npt.NDArray[Any]:
    """Return the mean of each output channel in the float network."""
    values = work.real[op.output]
    if op.relu:
        values = RULES[type(op)](replace(op, relu=False), work.real[op.source])
    return np.asarray(values.mean((0, *range(2, values.ndim)), dtype=np.float64))


def _scale_and_bias(work: _Integers, op: Layer) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return what 1 in each channel's sums stands for, and its bias in such units."""
    found = work.layer(op)
    weights, line = found.weights, found.requantisation.curve == "line"
    unit = steps_of(work.encodings[found.output]) if line else 2.0**-FRACTION_BITS
    multiplier = weights.multiplier.astype(np.float64)
    bias = np.rint((weights.offset.astype(np.float64) * 2.0**weights.lift) / multiplier)
    return multiplier * 2.0**-weights.shift * np.reshape(unit, -1), bias


def _widened(work: _Integers, op: Layer) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return scale and bias of a layer that reads the wider steps."""
    wider = work.widened(op.source).scale / work.encodings[op.source].scale
    scale, bias = _scale_and_bias(work, op)
    return scale * wider, np.rint(bias / wider)


HOW: Mapping[type[Operator], Callable[[_Integers, Any], None]] = {
    ops.InputScaling: _input_scaling,
    ops.Conv2d: _conv2d,
    ops.Linear: _linear,
}
