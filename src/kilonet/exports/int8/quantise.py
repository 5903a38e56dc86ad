"""From the float operators to integer ones, calibrated on training images.

Layer by layer, in order, the float network and the integer one run side by side on the calibration
images. Each value gets the range that loses least, and each layer's bias is shifted by how far
rounding has moved the mean of its sums (Nagel et al. 2019, "Data-free quantization through weight
equalization and bias correction", ICCV; here with data, so that the errors of all layers before are
corrected too).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.interpret import RULES, Pixels, interpret
from kilonet.exports.graph.operators import IMAGE, LOGITS, Graph, Operator, UnsupportedOperatorError
from kilonet.exports.graph.p4 import P4Filters, find_p4_filters
from kilonet.exports.int8.fixed import (
    WeightFormat,
    biased,
    encoding_of,
    factors,
    quantised,
    steps_of,
    wide_encoding,
)
from kilonet.exports.int8.interpret import compute, sums
from kilonet.exports.int8.operators import (
    FRACTION_BITS,
    ONE,
    Encoding,
    QActivation,
    QConcat,
    QConv2d,
    QLinear,
    QMean,
    QProduct,
    QSum,
    QuantisedGraph,
    Requantisation,
)
from kilonet.exports.int8.parts import parts_of

CALIBRATION_IMAGES = 512

Layer = ops.Conv2d | ops.Linear
Joining = ops.Conv2d | ops.Linear | ops.Add
"""What an activation that follows it becomes a part of."""


def quantise(graph: Graph, images: Pixels) -> QuantisedGraph:
    """Return ``graph`` in integers, calibrated on ``images`` uint8 (N, C, H, W), some hundreds.

    Raises:
        UnsupportedOperatorError: an operator has no integer form here, or the image has more than
            one channel.
    """
    graph.require(KNOWN, "int8")
    _check_image(graph)
    work = _Quantiser(graph, images)
    for op in graph.operators:
        if op.output not in work.joined and not isinstance(op, ops.Softmax):
            HOW[type(op)](work, op)
    return QuantisedGraph(
        graph.image, tuple(work.operators), work.encodings, graph.metadata, graph.classes
    )


def _check_image(graph: Graph) -> None:
    if graph.image[0] != 1:
        raise UnsupportedOperatorError(
            f"An int8 export takes images of one channel; this network's have {graph.image[0]}. "
            "Export it in float, without --int8."
        )


class _Quantiser:
    """What is known while the list is gone through: both networks' values, and the encodings."""

    def __init__(self, graph: Graph, images: Pixels) -> None:
        self.graph = graph
        self.real = interpret(graph, images)
        self.stored: dict[str, Any] = {IMAGE: images}
        self.encodings: dict[str, Encoding] = {}
        self.operators: list[Operator] = []
        self.joined = {
            op.output: op
            for op in graph.operators
            if isinstance(op, ops.Pointwise) and _joins(graph, op)
        }
        self.wide = _wide(graph)
        self.p4 = _p4(graph)
        self.narrow = any(found.regular for found in self.p4.values())
        ends = {op.source: op.output for op in self.joined.values()}
        self.parts = parts_of(graph, self.real, ends, self.wide, self._fours(ends))

    def _fours(self, ends: Mapping[str, str]) -> set[str]:
        """Return the values whose channels have their parts by fours: around turned layers."""
        made = [op for op in self.graph.operators if op.output in self.p4]
        around = {op.source for op in made} | {ends.get(op.output, op.output) for op in made}
        return around if self.narrow else set()

    def leaves_bias(self, op: Layer, bias: Any) -> bool:
        """Say whether to leave a layer without a bias as it is, to be corrected by what reads it.

        Its offsets then need not be stored.
        """
        readers = self.graph.users(op.output)
        linear = not op.relu and all(isinstance(reader, Layer) for reader in readers)
        return self.narrow and linear and not bias.any()

    def encoding(self, op: Operator) -> Encoding:
        """Return the encoding of the value that ``op`` reads first."""
        return self.encodings[op.source]

    def ending(self, op: Operator) -> tuple[str, Requantisation, float]:
        """Return what ``op`` makes in the end, how, and what its v of 1 stands for.

        That is the value of the activation that joins it, where one does.
        """
        users = self.graph.users(op.output)
        after = users[0] if users and users[0].output in self.joined else op
        value = self.real[after.output]
        if after.output in self.wide:
            encoding = wide_encoding(value)
        else:
            encoding = encoding_of(value, self.parts.get(after.output, ()))
        self.encodings[after.output] = encoding
        return after.output, *_finish(after, encoding)

    def add(self, op: Operator) -> None:
        """Append an integer operator, and run it on the calibration images."""
        self.operators.append(op)
        self.stored[op.output] = compute(op, *(self.stored[source] for source in op.sources))


def _joins(graph: Graph, op: Operator) -> bool:
    made = next((other for other in graph.operators if other.output == op.source), None)
    free = isinstance(made, Joining) and not made.relu
    return free and len(graph.users(op.source)) == 1


def _wide(graph: Graph) -> set[str]:
    """Return the values that are int16: the logits, and what they are another view of."""
    found = {LOGITS}
    made = next(op for op in graph.operators if op.output == LOGITS)
    while isinstance(made, ops.View):
        found.add(made.source)
        made = next(op for op in graph.operators if op.output == made.source)
    if not isinstance(made, ops.Linear | ops.GlobalAvgPool):
        raise UnsupportedOperatorError(
            f"An int8 export needs logits from a Linear or a GlobalAvgPool; here "
            f"{type(made).__name__} makes them. Export it in float, without --int8."
        )
    return found


def _p4(graph: Graph) -> dict[str, P4Filters]:
    """Return, by output, the convolutions whose filters can have their integers by fours."""
    convolutions = [op for op in graph.operators if isinstance(op, ops.Conv2d)]
    found = {op.output: find_p4_filters(op.weight, op.groups) for op in convolutions}
    return {name: p4 for name, p4 in found.items() if p4 and p4.factors.min() > 0}


def _finish(op: Operator, encoding: Encoding) -> tuple[Requantisation, float]:
    """Return the second step for the value of ``op``, and what a v of 1 stands for."""
    if encoding.wide:
        return Requantisation(0, -32768, 32767), encoding.scale
    low = encoding.zero if isinstance(op, ops.ReLU) or getattr(op, "relu", False) else 0
    if not isinstance(op, CURVES):
        return Requantisation(encoding.zero, low), encoding.scale
    ratio = 1 / (ONE * 2**FRACTION_BITS * encoding.scale)
    (multiplier,), shift = factors([ratio])
    slope = round(op.slope * ONE) if isinstance(op, ops.LeakyReLU) else 0
    curve = CURVE_NAMES[type(op)]
    requantisation = Requantisation(
        encoding.zero, 0, 255, curve, multiplier, shift, slope, encoding.parts
    )
    return requantisation, 2.0**-FRACTION_BITS


CURVES = ops.SiLU | ops.Sigmoid | ops.LeakyReLU
CURVE_NAMES: Mapping[type[Operator], Any] = {
    ops.SiLU: "silu",
    ops.Sigmoid: "sigmoid",
    ops.LeakyReLU: "leaky",
}


def _input_scaling(work: _Quantiser, op: ops.InputScaling) -> None:
    """The image's own bytes stand for the scaled values; nothing is computed."""
    scale, offset = float(op.scale[0]), float(op.offset[0])
    zero = round(-offset / scale)  # need not be a byte: zeros around the image are left out
    encoding = Encoding(scale, zero, residual=offset + scale * zero)
    work.encodings |= {IMAGE: encoding, op.output: encoding}
    work.stored[op.output] = work.stored[IMAGE]
    work.operators.append(ops.Reshape(output=op.output, sources=(IMAGE,), shape=op.shape))


def _layer(work: _Quantiser, op: Layer) -> None:
    source = work.encoding(op)
    output, requantisation, unit = work.ending(op)
    units = steps_of(work.encodings[output]) if requantisation.curve == "line" else unit
    total = op.weight.reshape(len(op.weight), -1).sum(1, dtype=np.float64)
    bias = op.bias + source.residual * total
    scale = _by_weight(op, steps_of(source))
    form = WeightFormat(work.narrow, work.p4.get(op.output))
    weights = quantised(op.weight, bias, scale, units, _squares(work, op), form)
    made: QConv2d | QLinear
    common = {
        "output": output,
        "sources": op.sources,
        "shape": op.shape,
        "requantisation": requantisation,
    }
    if isinstance(op, ops.Conv2d):
        geometry = {"stride": op.stride, "padding": op.padding, "groups": op.groups}
        made = QConv2d(**common, **geometry, weights=weights, zero=source.zero)  # type: ignore[arg-type]
    else:
        made = QLinear(**common, weights=weights, zero=source.zero)  # type: ignore[arg-type]
    if not work.leaves_bias(op, bias):
        moved = _moved_mean(work, op, made, bias, units)
        made = replace(made, weights=biased(weights, bias + moved, units, form))
    work.add(made)


def _squares(work: _Quantiser, op: Layer) -> Any:
    """Return the mean square of each weight's input, in the shape of the weights."""
    x = np.square(work.real[op.source], dtype=np.float64)
    return _by_weight(op, x.mean((0, *range(2, x.ndim))))


def _by_weight(op: Layer, numbers: Any) -> Any:
    """Return ``numbers``, one or one for each input channel, in the shape of the weights."""
    if isinstance(op, ops.Linear) or np.ndim(numbers) == 0:
        return np.broadcast_to(numbers, op.weight.shape)
    outputs, per_group = op.weight.shape[:2]
    of_group = numbers.reshape(op.groups, per_group)
    of_output = np.repeat(of_group, outputs // op.groups, axis=0)
    return np.broadcast_to(of_output[:, :, None, None], op.weight.shape)


def _moved_mean(work: _Quantiser, op: Layer, made: Any, bias: Any, unit: Any) -> Any:
    """Return, for each channel, how far the float sums' mean lies above the integer ones'."""
    plain = replace(op, relu=False)
    wanted = RULES[type(op)](plain, work.real[op.source])
    axes = (0, *range(2, wanted.ndim))
    step = made.weights.multiplier * unit * 2.0**-made.weights.shift
    return wanted.mean(axes) - (sums(made, work.stored[op.source]).mean(axes) * step + bias)


def _add(work: _Quantiser, op: ops.Add) -> None:
    output, requantisation, unit = work.ending(op)
    parts = [work.encodings[source] for source in op.sources]
    multipliers, shift = factors([part.scale / unit for part in parts])
    work.add(
        QSum(
            output=output,
            sources=op.sources,
            shape=op.shape,
            requantisation=requantisation,
            zeros=(parts[0].zero, parts[1].zero),
            multipliers=(multipliers[0], multipliers[1]),
            shift=shift,
        )
    )


def _mul(work: _Quantiser, op: ops.Mul) -> None:
    output, requantisation, unit = work.ending(op)
    left, right = (work.encodings[source] for source in op.sources)
    (multiplier,), shift = factors([left.scale * right.scale / unit])
    work.add(
        QProduct(
            output=output,
            sources=op.sources,
            shape=op.shape,
            requantisation=requantisation,
            zeros=(left.zero, right.zero),
            multiplier=multiplier,
            shift=shift,
        )
    )


def _mean(work: _Quantiser, op: ops.AvgPool | ops.GlobalAvgPool) -> None:
    output, requantisation, unit = work.ending(op)
    source = work.encoding(op)
    _, height, width = work.graph.shape(op.source)
    kernel, stride = (height, width), (1, 1)
    if isinstance(op, ops.AvgPool):
        kernel, stride = op.kernel, op.stride
    (multiplier,), shift = factors([source.scale / (kernel[0] * kernel[1]) / unit])
    work.add(
        QMean(
            output=output,
            sources=op.sources,
            shape=op.shape,
            requantisation=requantisation,
            kernel=kernel,
            stride=stride,
            zero=source.zero,
            multiplier=multiplier,
            shift=shift,
        )
    )


def _activation(work: _Quantiser, op: ops.Pointwise) -> None:
    output, requantisation, unit = work.ending(op)
    source = work.encoding(op)
    steps = source.scale if requantisation.curve == "line" else steps_of(source)
    multipliers, shift = factors([*np.atleast_1d(steps / unit)])
    work.add(
        QActivation(
            output=output,
            sources=op.sources,
            shape=op.shape,
            requantisation=requantisation,
            zero=source.zero,
            multipliers=multipliers,
            shift=shift,
        )
    )


def _concat(work: _Quantiser, op: ops.Concat) -> None:
    output, requantisation, unit = work.ending(op)
    parts = [work.encodings[source] for source in op.sources]
    multipliers, shift = factors([part.scale / unit for part in parts])
    work.add(
        QConcat(
            output=output,
            sources=op.sources,
            shape=op.shape,
            requantisation=requantisation,
            zeros=tuple(part.zero for part in parts),
            multipliers=multipliers,
            shift=shift,
        )
    )


def _kept(work: _Quantiser, op: Operator) -> None:
    """Max pooling and views choose among bytes; what these stand for stays."""
    encoding = work.encoding(op)
    if encoding.parts:
        parts = np.repeat(encoding.parts, op.shape[0] // len(encoding.parts))
        encoding = replace(encoding, parts=tuple(parts.tolist()))
    work.encodings[op.output] = encoding
    work.add(op)


HOW: Mapping[type[Operator], Callable[[_Quantiser, Any], None]] = {
    ops.InputScaling: _input_scaling,
    ops.Conv2d: _layer,
    ops.Linear: _layer,
    ops.Add: _add,
    ops.Mul: _mul,
    ops.AvgPool: _mean,
    ops.GlobalAvgPool: _mean,
    ops.ReLU: _activation,
    ops.LeakyReLU: _activation,
    ops.SiLU: _activation,
    ops.Sigmoid: _activation,
    ops.Concat: _concat,
    ops.MaxPool: _kept,
    ops.Flatten: _kept,
    ops.Reshape: _kept,
}
KNOWN: tuple[type[Operator], ...] = (*HOW, ops.Softmax)
