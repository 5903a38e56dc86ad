"""Post-training quantisation: from float operators to integer ones, calibrated on images.

The float and the integer network run side by side on the calibration images, layer by layer. Each
value gets the encoding of least loss. Each layer's bias is corrected by the shift of the mean that
rounding causes (Nagel et al. 2019, "Data-free quantization through weight equalization and bias
correction", ICCV); calibration data make it include the errors of all layers before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.interpret import COMPUTE, Pixels, interpret
from kilonet.exports.graph.operators import IMAGE, LOGITS, Graph, Operator, UnsupportedOperatorError
from kilonet.exports.graph.p4 import P4Filters, find_p4_filters
from kilonet.exports.int8.encodings import (
    channel_divisors,
    choose_encoding,
    logit_encoding,
    step_sizes,
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
    QuantisedOperator,
    Requantisation,
)
from kilonet.exports.int8.weights import WeightFormat, fixed_point, quantise_weights, with_bias

CALIBRATION_IMAGES = 512

Layer = ops.Conv2d | ops.Linear
FusesActivation = ops.Conv2d | ops.Linear | ops.Add
"""Operators that absorb the activation after them."""


def quantise(graph: Graph, images: Pixels) -> QuantisedGraph:
    """Return ``graph`` in integers, calibrated on a few hundred ``images`` uint8 (N, C, H, W).

    Raises:
        UnsupportedOperatorError: an operator has no integer version, or the image has more than
            one channel.
    """
    graph.require(SUPPORTED, "int8")
    _check_image(graph)
    state = _Quantiser(graph, images)
    for op in graph.operators:
        if op.output not in state.fused and not isinstance(op, ops.Softmax):
            QUANTISE[type(op)](state, op)
    return QuantisedGraph(
        graph.image, tuple(state.operators), state.encodings, graph.metadata, graph.classes
    )


def _check_image(graph: Graph) -> None:
    if graph.image[0] != 1:
        raise UnsupportedOperatorError(
            f"An int8 export takes images of one channel; this network's have {graph.image[0]}. "
            "Export it in float, without --int8."
        )


class _Quantiser:
    """The state of a quantisation: both networks' values, the encodings, the operators so far."""

    def __init__(self, graph: Graph, images: Pixels) -> None:
        self.graph = graph
        self.real = interpret(graph, images)
        self.stored: dict[str, Any] = {IMAGE: images}
        self.encodings: dict[str, Encoding] = {}
        self.operators: list[Operator] = []
        self.fused = {
            op.output: op
            for op in graph.operators
            if isinstance(op, ops.Pointwise) and _is_fused(graph, op)
        }
        self.int16 = _int16_values(graph)
        self.p4 = _p4_filters(graph)
        self.byte_scales = any(filters.regular for filters in self.p4.values())
        outputs = {op.source: op.output for op in self.fused.values()}
        self.divisors = channel_divisors(
            graph, self.real, outputs, self.int16, self._orientation_channels(outputs)
        )

    def _orientation_channels(self, outputs: Mapping[str, str]) -> set[str]:
        """Return the inputs and outputs of p4 convolutions, if there are regular ones."""
        convolutions = [op for op in self.graph.operators if op.output in self.p4]
        around = {op.source for op in convolutions}
        around |= {outputs.get(op.output, op.output) for op in convolutions}
        return around if self.byte_scales else set()

    def next_layer_corrects_bias(self, op: Layer, bias: Any) -> bool:
        """Return whether the next layer corrects the bias of a layer that has none.

        The layer's offsets then need not be stored.
        """
        readers = self.graph.users(op.output)
        linear = not op.relu and all(isinstance(reader, Layer) for reader in readers)
        return self.byte_scales and linear and not bias.any()

    def encoding(self, op: Operator) -> Encoding:
        """Return the encoding of the first input of ``op``."""
        return self.encodings[op.source]

    def result(self, op: Operator) -> tuple[str, Requantisation, float]:
        """Return the result's name, its requantisation, and the real value of one integer unit.

        If an activation is fused with ``op``, the result is the activation's.
        """
        users = self.graph.users(op.output)
        last = users[0] if users and users[0].output in self.fused else op
        value = self.real[last.output]
        if last.output in self.int16:
            encoding = logit_encoding(value)
        else:
            encoding = choose_encoding(value, self.divisors.get(last.output, ()))
        self.encodings[last.output] = encoding
        return last.output, *_requantisation(last, encoding)

    def add(self, op: Operator) -> None:
        """Append an integer operator and run it on the calibration images."""
        self.operators.append(op)
        self.stored[op.output] = compute(op, *(self.stored[source] for source in op.sources))

    def add_quantised(
        self,
        kind: type[QuantisedOperator],
        op: Operator,
        output: str,
        requantisation: Requantisation,
        **rest: Any,
    ) -> None:
        """Append the integer version ``kind`` of ``op`` and run it on the calibration images."""
        rest |= {"output": output, "sources": op.sources, "shape": op.shape}
        self.add(kind(requantisation=requantisation, **rest))


def _is_fused(graph: Graph, op: Operator) -> bool:
    producer = next((other for other in graph.operators if other.output == op.source), None)
    free = isinstance(producer, FusesActivation) and not producer.relu
    return free and len(graph.users(op.source)) == 1


def _int16_values(graph: Graph) -> set[str]:
    """Return the names of the int16 values: the logits and the values that they are a view of."""
    names = {LOGITS}
    producer = next(op for op in graph.operators if op.output == LOGITS)
    while isinstance(producer, ops.View):
        names.add(producer.source)
        producer = next(op for op in graph.operators if op.output == producer.source)
    if not isinstance(producer, ops.Linear | ops.GlobalAvgPool):
        raise UnsupportedOperatorError(
            f"An int8 export needs logits from a Linear or a GlobalAvgPool; here "
            f"{type(producer).__name__} makes them. Export it in float, without --int8."
        )
    return names


def _p4_filters(graph: Graph) -> dict[str, P4Filters]:
    """Return, by output, the p4 filters whose orientations can share integers."""
    convolutions = [op for op in graph.operators if isinstance(op, ops.Conv2d)]
    filters = {op.output: find_p4_filters(op.weight, op.groups) for op in convolutions}
    return {name: p4 for name, p4 in filters.items() if p4 and p4.factors.min() > 0}


def _requantisation(op: Operator, encoding: Encoding) -> tuple[Requantisation, float]:
    """Return the requantisation for the output of ``op``, and the real value of one unit."""
    if encoding.is_int16:
        return Requantisation(0, -32768, 32767), encoding.scale
    zero_point = encoding.zero_point
    low = zero_point if isinstance(op, ops.ReLU) or getattr(op, "relu", False) else 0
    if type(op) not in ACTIVATIONS:
        return Requantisation(zero_point, low), encoding.scale
    (multiplier,), shift = fixed_point([1 / (ONE * 2**FRACTION_BITS * encoding.scale)])
    requantisation = Requantisation(
        zero_point,
        activation=ACTIVATIONS[type(op)],
        multiplier=multiplier,
        shift=shift,
        slope=round(op.slope * ONE) if isinstance(op, ops.LeakyReLU) else 0,
        divisors=encoding.divisors,
    )
    return requantisation, 2.0**-FRACTION_BITS


ACTIVATIONS: Mapping[type[Operator], Any] = {
    ops.SiLU: "silu",
    ops.Sigmoid: "sigmoid",
    ops.LeakyReLU: "leaky_relu",
}


def _input_scaling(state: _Quantiser, op: ops.InputScaling) -> None:
    """Let the image's own bytes represent the scaled values; nothing is computed."""
    scale, offset = float(op.scale[0]), float(op.offset[0])
    zero_point = round(-offset / scale)  # may be no byte: padding of the image is skipped
    encoding = Encoding(scale, zero_point, residual=offset + scale * zero_point)
    state.encodings |= {IMAGE: encoding, op.output: encoding}
    state.stored[op.output] = state.stored[IMAGE]
    state.operators.append(ops.Reshape(output=op.output, sources=(IMAGE,), shape=op.shape))


def _layer(state: _Quantiser, op: Layer) -> None:
    source = state.encoding(op)
    output, requantisation, unit = state.result(op)
    has_activation = requantisation.activation != "none"
    units = unit if has_activation else step_sizes(state.encodings[output])
    total = op.weight.reshape(len(op.weight), -1).sum(1, dtype=np.float64)
    bias = op.bias + source.residual * total
    scale = _by_weight(op, step_sizes(source))
    form = WeightFormat(state.byte_scales, state.p4.get(op.output))
    weights = quantise_weights(op.weight, bias, scale, units, _squares(state, op), form)
    quantised: QConv2d | QLinear
    common: dict[str, Any] = {"output": output, "sources": op.sources, "shape": op.shape}
    common |= {"requantisation": requantisation, "zero_point": source.zero_point}
    if isinstance(op, ops.Conv2d):
        geometry: dict[str, Any] = {"stride": op.stride, "padding": op.padding, "groups": op.groups}
        quantised = QConv2d(**common, **geometry, weights=weights)
    else:
        quantised = QLinear(**common, weights=weights)
    if not state.next_layer_corrects_bias(op, bias):
        correction = _mean_shift(state, op, quantised, bias, units)
        weights = with_bias(weights, bias + correction, units, form)
        quantised = replace(quantised, weights=weights)
    state.add(quantised)


def _squares(state: _Quantiser, op: Layer) -> Any:
    """Return the mean square of each weight's input, in the shape of the weights."""
    x = np.square(state.real[op.source], dtype=np.float64)
    return _by_weight(op, x.mean((0, *range(2, x.ndim))))


def _by_weight(op: Layer, numbers: Any) -> Any:
    """Return ``numbers``, one or one per input channel, in the shape of the weights."""
    if isinstance(op, ops.Linear) or np.ndim(numbers) == 0:
        return np.broadcast_to(numbers, op.weight.shape)
    outputs, per_group = op.weight.shape[:2]
    of_group = numbers.reshape(op.groups, per_group)
    of_output = np.repeat(of_group, outputs // op.groups, axis=0)
    return np.broadcast_to(of_output[:, :, None, None], op.weight.shape)


def _mean_shift(state: _Quantiser, op: Layer, quantised: Any, bias: Any, unit: Any) -> Any:
    """Return, for each channel, the mean of the float sums minus that of the integer sums."""
    without_relu = replace(op, relu=False)
    wanted = COMPUTE[type(op)](without_relu, state.real[op.source])
    axes = (0, *range(2, wanted.ndim))
    step = quantised.weights.multiplier * unit * 2.0**-quantised.weights.shift
    return wanted.mean(axes) - (sums(quantised, state.stored[op.source]).mean(axes) * step + bias)


def _combine(state: _Quantiser, op: ops.Add | ops.Concat) -> None:
    """Quantise a sum or a concatenation: each source has its own multiplier."""
    output, requantisation, unit = state.result(op)
    sources = [state.encodings[source] for source in op.sources]
    multipliers, shift = fixed_point([source.scale / unit for source in sources])
    state.add_quantised(
        QSum if isinstance(op, ops.Add) else QConcat,
        op,
        output,
        requantisation,
        zero_points=tuple(source.zero_point for source in sources),
        multipliers=multipliers,
        shift=shift,
    )


def _mul(state: _Quantiser, op: ops.Mul) -> None:
    output, requantisation, unit = state.result(op)
    left, right = (state.encodings[source] for source in op.sources)
    (multiplier,), shift = fixed_point([left.scale * right.scale / unit])
    zero_points = (left.zero_point, right.zero_point)
    rest = {"zero_points": zero_points, "multiplier": multiplier, "shift": shift}
    state.add_quantised(QProduct, op, output, requantisation, **rest)


def _mean(state: _Quantiser, op: ops.AvgPool | ops.GlobalAvgPool) -> None:
    output, requantisation, unit = state.result(op)
    source = state.encoding(op)
    _, height, width = state.graph.shape(op.source)
    kernel, stride = (height, width), (1, 1)
    if isinstance(op, ops.AvgPool):
        kernel, stride = op.kernel, op.stride
    (multiplier,), shift = fixed_point([source.scale / (kernel[0] * kernel[1]) / unit])
    rest = {"kernel": kernel, "stride": stride, "zero_point": source.zero_point}
    rest |= {"multiplier": multiplier, "shift": shift}
    state.add_quantised(QMean, op, output, requantisation, **rest)


def _activation(state: _Quantiser, op: ops.Pointwise) -> None:
    output, requantisation, unit = state.result(op)
    source = state.encoding(op)
    steps = source.scale if requantisation.activation == "none" else step_sizes(source)
    multipliers, shift = fixed_point([*np.atleast_1d(steps / unit)])
    rest = {"zero_point": source.zero_point, "multipliers": multipliers, "shift": shift}
    state.add_quantised(QActivation, op, output, requantisation, **rest)


def _unchanged(state: _Quantiser, op: Operator) -> None:
    """Keep max pooling and views, which select bytes and do not change their encoding."""
    encoding = state.encoding(op)
    if encoding.divisors:
        divisors = np.repeat(encoding.divisors, op.shape[0] // len(encoding.divisors))
        encoding = replace(encoding, divisors=tuple(divisors.tolist()))
    state.encodings[op.output] = encoding
    state.add(op)


QUANTISE: Mapping[type[Operator], Callable[[_Quantiser, Any], None]] = {
    ops.InputScaling: _input_scaling,
    ops.Conv2d: _layer,
    ops.Linear: _layer,
    ops.Add: _combine,
    ops.Mul: _mul,
    ops.AvgPool: _mean,
    ops.GlobalAvgPool: _mean,
    ops.ReLU: _activation,
    ops.LeakyReLU: _activation,
    ops.SiLU: _activation,
    ops.Sigmoid: _activation,
    ops.Concat: _combine,
    ops.MaxPool: _unchanged,
    ops.Flatten: _unchanged,
    ops.Reshape: _unchanged,
}
SUPPORTED: tuple[type[Operator], ...] = (*QUANTISE, ops.Softmax)
