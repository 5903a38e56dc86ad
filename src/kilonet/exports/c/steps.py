"""The steps of an integer network in C, and the values, windows and parameters they refer to."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from math import gcd
from typing import Any

import numpy as np
import numpy.typing as npt

from kilonet.exports.c.plan import PlannedCall
from kilonet.exports.c.schedule import PART, RowPlan, is_p4_pointwise, shared_filters
from kilonet.exports.c.text import comment_text, rows, shape_text
from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.operators import IMAGE, Shape, UnsupportedOperatorError
from kilonet.exports.graph.p4 import P4Filters
from kilonet.exports.int8.operators import (
    QActivation,
    QConcat,
    QConv2d,
    QLinear,
    QMean,
    QProduct,
    QSum,
    QuantisedWeights,
    Requantisation,
)
from kilonet.recipe.layer_spec import ORIENTATIONS

ACTIVATIONS = {"none": "", "silu": ", SiLU", "sigmoid": ", sigmoid", "leaky_relu": ", leaky ReLU"}
MAX_INT32 = (1 << 31) - 1
SPLIT = 16
"""Sums and factors are split into so many low bits and the rest."""

Fields = dict[str, object]


@dataclass
class Parameters:
    """The parameters of all steps, one after the other, each with a comment; equal ones once."""

    size: int = 1
    parts: list[str] = field(default_factory=lambda: ["    0,"])
    known: dict[bytes, int] = field(default_factory=dict)

    def add(self, comment: str, values: npt.NDArray[Any]) -> int:
        """Store ``values``, the low byte of each first, and return their position."""
        content = values.astype(values.dtype.newbyteorder("<")).tobytes()
        if content not in self.known:
            self.known[content] = self.size
            self.size += len(content)
            numbers = rows(np.frombuffer(content, np.uint8))
            self.parts.append(f"    /* {comment} */\n{numbers},")
        return self.known[content]


@dataclass(frozen=True)
class Step:
    """A step in C: a comment, its function, and the fields that are not 0."""

    comment: str
    function: str
    fields: Fields


ORDER = (
    "in",
    "out",
    "geometry",
    "sum_shift",
    "shift",
    "gain_shift",
    "activation",
    "flags",
    "weight",
    "multiplier",
    "offset",
    "divisor",
    "factor",
    "gain",
    "slope",
    "groups",
    "zero",
    "zero_out",
    "low",
    "high",
    "offset_unit",
)
"""The fields of a step in C; ``compute``, its function, is the last."""


def step_text(number: int, step: Step) -> str:
    """Return a row of the table of steps; C++ has no designated initialisers."""
    pairs = ("factor", "gain", "zero", "in")
    texts = []
    for name in ORDER:
        value = step.fields.get(name, (0, 0) if name in pairs else 0)
        if isinstance(value, set):
            value = " | ".join(sorted(value)) or 0
        texts.append(f"{{{', '.join(map(str, value))}}}" if isinstance(value, tuple) else value)
    numbers = ", ".join(map(str, texts))
    return f"    /* {number}: {step.comment} */\n    {{{numbers}, {step.function}}},"


class StepWriter:
    """Turns calls into steps; holds what they refer to: values, windows and parameters."""

    def __init__(self, plan: RowPlan) -> None:
        self.plan = plan
        self.data = Parameters()
        self.names = list(dict.fromkeys([IMAGE, *(step.output for step in plan.steps)]))
        self.windows: list[str] = []
        self.max_rows = self.max_best = 1

    def values(self) -> list[str]:
        """Return the rows of the table of values."""
        texts = []
        for name in self.names:
            channels, height, width = _map_shape(self.plan.shapes[name])
            place = self.plan.place(name)
            numbers = (place.offset, channels, width, height, place.ring, place.first)
            texts.append(f"    {{{', '.join(map(str, numbers))}}}, /* {comment_text(name)} */")
        return texts

    def number(self, value: str) -> int:
        return self.names.index(self.plan.root(value))

    def window(self, call: PlannedCall) -> int:
        """Return the number of the window of a call."""
        op = call.op
        assert isinstance(op, QConv2d | QMean | ops.MaxPool)
        top, left, _, right = op.padding if not isinstance(op, QMean) else (0, 0, 0, 0)
        numbers = (*op.kernel, *op.stride, top, left, right, *call.pool)
        if not isinstance(op, QMean):
            self.max_rows = max(self.max_rows, op.kernel[0] + (call.pool[0] - 1) * op.stride[0])
        if call.pool != (1, 1):
            self.max_best = max(self.max_best, PART // call.pool[1])
        text = f"    {{{', '.join(map(str, numbers))}}}"
        if text not in self.windows:
            self.windows.append(text)
        return self.windows.index(text)

    def steps(self, call: PlannedCall, number: int) -> list[Step]:
        """Return the steps of a call: one, or one for each source of a concatenation."""
        op = call.op
        label = f"step {number}"
        inputs = tuple(self.number(source) for source in op.sources[:2])
        fields: Fields = {"in": (*inputs, 0)[:2], "out": self.number(call.output)}
        fields |= {"groups": 1, "flags": set()}
        requantisation = getattr(op, "requantisation", None)
        if requantisation is not None:
            self._requantise(requantisation, fields, label)
        function, what = "", ""
        if isinstance(op, QConv2d | QLinear):
            function, what = self._layer(op, call, fields, label)
        elif isinstance(op, QMean):
            function, what = "mean", f"mean of {op.kernel[0]}x{op.kernel[1]}"
            bound = 255 * op.kernel[0] * op.kernel[1]
            fields |= {"geometry": self.window(call), "zero": (op.zero_point, 0)}
            self._scale([op.multiplier], op.shift, bound, fields, label)
        elif isinstance(op, QActivation):
            function, what = "activation", "pointwise"
            fields |= {"zero": (op.zero_point, 0)}
            self._scale(op.multipliers, op.shift, 510, fields, label)
        elif isinstance(op, QProduct):
            function, what = "multiply", "product"
            fields |= {"zero": op.zero_points}
            self._scale([op.multiplier], op.shift, 510 * 510, fields, label)
        elif isinstance(op, QSum):
            function, what = "add", "sum"
            fields |= {"zero": op.zero_points, "factor": op.multipliers, "shift": op.shift}
        elif isinstance(op, QConcat):
            return self._joins(op, call, fields, label)
        elif isinstance(op, ops.MaxPool):
            function, what = "max_pool", f"{op.kernel[0]}x{op.kernel[1]} max pooling"
            fields |= {"geometry": self.window(call)}
        elif isinstance(op, ops.Flatten):
            function, what = "flatten", "channel by channel"
        else:
            raise UnsupportedOperatorError(f"The target C lacks the operator {type(op).__name__}.")
        return [Step(self._comment(call, what, requantisation), function, fields)]

    def _comment(self, call: PlannedCall, what: str, to: Requantisation | None) -> str:
        sources = (self.plan.shapes[self.plan.root(source)] for source in call.op.sources)
        pooled = f", {call.pool[0]}x{call.pool[1]} max pooling" if call.pool != (1, 1) else ""
        activation = ""
        if to is not None:
            relu = ", ReLU" if to.activation == "none" and to.low == to.zero_point else ""
            activation = ACTIVATIONS[to.activation] or relu
        shapes = " and ".join(map(shape_text, sources))
        return f"{shapes} -> {shape_text(call.shape)}, {what}{pooled}{activation}"

    def _joins(self, op: QConcat, call: PlannedCall, common: Fields, label: str) -> list[Step]:
        steps, before = [], 0
        for source, zero_point, multiplier in zip(
            op.sources, op.zero_points, op.multipliers, strict=True
        ):
            fields: Fields = {
                **common,
                "flags": set(),
                "in": (self.number(source), 0),
                "zero": (zero_point, 0),
            }
            self._scale([multiplier], op.shift, 510, fields, label)
            steps.append(
                Step(
                    self._comment(call, "concatenation", op.requantisation),
                    "join",
                    {**fields, "groups": before},
                )
            )
            before += self.plan.shapes[source][0]
        return steps

    def _layer(
        self, op: QConv2d | QLinear, call: PlannedCall, fields: Fields, label: str
    ) -> tuple[str, str]:
        """Add the fields of a layer; return its function and its description."""
        weights = op.weights
        largest = max(abs(op.zero_point), abs(255 - op.zero_point))
        rows_of = np.abs(weights.weight.astype(np.int64)).reshape(len(weights.weight), -1)
        bound = int(rows_of.sum(1).max()) * largest
        p4 = None
        function, what = "linear", "matrix"
        if isinstance(op, QConv2d):
            p4 = shared_filters(op)
            function = "pointwise_p4" if is_p4_pointwise(op, p4) else "convolution"
            p4 = p4 if p4 is not None and (function == "pointwise_p4" or not p4.regular) else None
            kind = "depthwise convolution" if op.depthwise else "convolution"
            what = f"{op.kernel[0]}x{op.kernel[1]} {kind}{' with p4 filters' if p4 else ''}"
            fields |= {"geometry": self.window(call), "groups": op.groups}
            stored = _convolution_weights(op, p4, function)
        else:
            stored = _linear_weights(weights.weight, self.plan.shapes[self.plan.root(op.source)])
        fields |= {"zero": (op.zero_point, 0)}
        fields |= {"weight": self.data.add(f"{label}: weights", stored)}
        self._scale(weights.multiplier, weights.shift, bound, fields, label, weights)
        if p4 is not None and function == "convolution":
            _flags(fields).add("ROTATED")
        return function, what

    def _scale(
        self,
        multipliers: Any,
        shift: int,
        bound: int,
        fields: Fields,
        label: str,
        weights: QuantisedWeights | None = None,
    ) -> None:
        """Add the fields that scale sums of at most ``bound``, and store what is per channel."""
        more = max(0, SPLIT + 1 - shift)
        multiplier = np.asarray(multipliers, np.int64)
        offset_shift = more + (weights.offset_shift if weights else 0)
        offset = weights.offset.astype(np.int64) if weights else np.zeros(1, np.int64)
        highest = int(np.abs(offset).max()) << offset_shift
        largest = (bound * int(multiplier.max()) << more) + highest
        if bound << more > MAX_INT32 or largest >> SPLIT > MAX_INT32 >> 1:
            raise UnsupportedOperatorError(
                "The target C computes int8 networks in 32 bits, and a layer's sums exceed them. "
                "Export it in float, without --int8."
            )
        fields |= {"sum_shift": more, "shift": shift + more - SPLIT}
        units, unit = split_common_factor(multiplier)
        offsets, offset_unit = split_common_factor(offset)
        in_bytes = len(units) > 1 and units.max() <= 255 and np.abs(offsets).max() <= 127
        if in_bytes:
            _flags(fields).add("BYTES")
        else:
            units, unit, offsets, offset_unit = multiplier, 1, offset, 1
        if offset.any():
            if highest > MAX_INT32:
                _flags(fields).add("HIGH_OFFSET")
                offset_shift -= SPLIT
            stored = offsets.astype(np.int8 if in_bytes else np.int16)
            fields |= {"offset_unit": offset_unit << offset_shift}
            fields |= {"offset": self.data.add(f"{label}: offsets", stored)}
        if len(units) == 1:
            fields["factor"] = (int(multiplier[0]), 0)
            return
        once, shared = one_per_orientation_group(units)
        if shared:
            _flags(fields).add("SHARED_SCALE")
        stored = once.astype(np.uint8 if in_bytes else np.uint16)
        fields |= {"multiplier": self.data.add(f"{label}: multipliers", stored)}
        fields["factor"] = (unit, 0)

    def _requantise(self, to: Requantisation, fields: Fields, label: str) -> None:
        """Add the fields of a requantisation."""
        fields |= {"zero_out": to.zero_point, "low": to.low, "high": to.high}
        if to.activation == "none":
            return
        more = max(0, 2 * SPLIT + 1 - to.shift)
        gain = to.multiplier << more
        if gain * max(to.divisors or (1,)) >= 1 << 30 or not 0 <= to.slope <= 1 << 15:
            raise UnsupportedOperatorError(
                "The target C cannot scale an activation of this int8 network in 32 bits. Export "
                "it in float, without --int8."
            )
        fields |= {"activation": to.activation.upper(), "slope": to.slope}
        fields |= {"gain": (gain & 0xFFFF, gain >> SPLIT)}
        fields |= {"gain_shift": to.shift + more - 2 * SPLIT - 1}
        if to.divisors:
            once, shared = one_per_orientation_group(np.array(to.divisors, np.uint8))
            if shared:
                _flags(fields).add("SHARED_GAIN")
            fields |= {"divisor": self.data.add(f"{label}: divisors", once)}


def _flags(fields: Fields) -> set[str]:
    flags = fields["flags"]
    assert isinstance(flags, set)
    return flags


def _map_shape(shape: Shape) -> Shape:
    return shape if len(shape) == 3 else (shape[0], 1, 1)


def _convolution_weights(op: QConv2d, p4: P4Filters | None, function: str) -> npt.NDArray[np.int8]:
    """Return the stored filters as [filter][row][column][input], or by input field for p4."""
    filters = op.weights.weight if p4 is None else p4.base
    if function == "pointwise_p4":
        return np.ascontiguousarray(filters[:, :, 0, 0])
    return np.ascontiguousarray(filters.transpose(0, 2, 3, 1))


def _linear_weights(weight: npt.NDArray[Any], memory: Shape) -> npt.NDArray[Any]:
    """Return a matrix (O, N) with its inputs in the order of shape ``memory``."""
    order = np.arange(weight.shape[1])
    if len(memory) == 3:
        order = order.reshape(memory).transpose(1, 2, 0).ravel()
    return np.ascontiguousarray(weight[:, order])


def split_common_factor(values: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], int]:
    """Return integers divided by their greatest common divisor, and that divisor."""
    unit = reduce(gcd, values.tolist()) or 1
    return values.astype(np.int64) // unit, unit


def one_per_orientation_group(values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], bool]:
    """Return one value per group of four and True if each group is equal; else all and False."""
    if (
        len(values) % ORIENTATIONS == 0
        and (values.reshape(-1, ORIENTATIONS) == values[::ORIENTATIONS, None]).all()
    ):
        return values[::ORIENTATIONS], True
    return values, False
