"""Calls of the integer functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from kilonet.exports.c.calls import (
    Call,
    comment,
    convolution_words,
    filters,
    matrix,
    p4_weights,
    pixels,
    window,
    window_words,
)
from kilonet.exports.c.floats import flatten, max_pool
from kilonet.exports.c.plan import MemoryPlan, PlannedCall
from kilonet.exports.c.sharing import by_orientation, has_bytes, in_units, same_integers
from kilonet.exports.c.text import ConstantArray, struct
from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.operators import Operator
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

CURVES = {"line": "", "silu": ", SiLU", "sigmoid": ", sigmoid", "leaky": ", leaky ReLU"}


def integer_call(plan: MemoryPlan, step: PlannedCall, label: str) -> Call:
    """Return the call of one step of an integer network; ``label`` names its constants."""
    return CALLS[type(step.op)](plan, step, label)


def _ending(
    plan: MemoryPlan, label: str, requantisation: Requantisation
) -> tuple[str, list[ConstantArray]]:
    fields: dict[str, object] = {
        "zero": requantisation.zero,
        "low": requantisation.low,
        "high": requantisation.high,
    }
    if requantisation.curve != "line":
        fields |= {"curve": requantisation.curve.upper(), "multiplier": requantisation.multiplier}
        fields |= {"shift": requantisation.shift, "slope": requantisation.slope}
    constants = []
    if requantisation.parts:
        parts, orientation_shift = np.array(requantisation.parts, np.uint8), 0
        if has_bytes(plan):
            parts, orientation_shift = by_orientation(parts)
            fields["orientation_shift"] = orientation_shift
        constants = [ConstantArray(f"{label}_parts", parts)]
        fields["parts"] = constants[0].name
    return struct("ending", f"{label}_ending", fields), constants


def _scaling(
    plan: MemoryPlan, label: str, weights: QuantisedWeights, zero: int
) -> tuple[str, list[ConstantArray]]:
    if has_bytes(plan):
        return _narrow_scaling(label, weights, zero)
    constants = [
        ConstantArray(f"{label}_multiplier", weights.multiplier),
        ConstantArray(f"{label}_offset", weights.offset),
    ]
    fields: dict[str, object] = {"zero": zero, "lift": weights.lift, "shift": weights.shift}
    fields |= {"multiplier": constants[0].name, "offset": constants[1].name}
    return struct("scaling", f"{label}_scaling", fields), constants


def _narrow_scaling(
    label: str, weights: QuantisedWeights, zero: int
) -> tuple[str, list[ConstantArray]]:
    whole, unit = in_units(weights.multiplier)
    multipliers, orientation_shift = by_orientation(whole.astype(np.uint8))
    constants = [ConstantArray(f"{label}_multiplier", multipliers)]
    fields: dict[str, object] = {"zero": zero, "shift": weights.shift, "multiplier_unit": unit}
    fields |= {"orientation_shift": orientation_shift, "multiplier": constants[0].name}
    if weights.offset.any():
        offsets, unit = in_units(weights.offset)
        constants.append(ConstantArray(f"{label}_offset", offsets.astype(np.int8)))
        fields |= {"offset_unit": unit << weights.lift, "offset": constants[1].name}
    return struct("scaling", f"{label}_scaling", fields), constants


def _curved(what: str, requantisation: Requantisation) -> str:
    relu = (
        ", ReLU"
        if requantisation.curve == "line" and requantisation.low == requantisation.zero
        else ""
    )
    return f"{what}{CURVES[requantisation.curve] or relu}"


def _filters(op: QConv2d) -> npt.NDArray[np.int8]:
    return filters(op.weights.weight, op.groups, op.depthwise)


def _conv2d(plan: MemoryPlan, step: PlannedCall, label: str) -> Call:
    op = step.op
    assert isinstance(op, QConv2d)
    p4 = same_integers(op)
    function, what, regular = convolution_words(op, p4)
    stored = p4_weights(p4, function) if p4 else _filters(op)
    weight = ConstantArray(f"{label}_weight", stored)
    scaling, constants = _scaling(plan, label, op.weights, op.zero)
    ending, parts = _ending(plan, label, op.requantisation)
    geometry = window(
        plan, step, label, kernel=op.kernel, stride=op.stride, padding=op.padding, groups=op.groups
    )
    call = (
        f"{function}(&{label}, {regular}{plan.place(op.source)}, {weight.name}, &{label}_scaling, "
        f"&{label}_ending, {plan.place(step.output)})"
    )
    return Call(
        comment(plan, step, label, _curved(window_words(what, op), op.requantisation)),
        call,
        ("window", "rounded", "ending", "scaling", function),
        [geometry, scaling, ending],
        [weight, *constants, *parts],
        len(op.weights.offset),
    )


def _linear(plan: MemoryPlan, step: PlannedCall, label: str) -> Call:
    op = step.op
    assert isinstance(op, QLinear)
    function = "wide_linear" if op.requantisation.wide else "linear"
    weight = ConstantArray(f"{label}_weight", matrix(op.weights.weight, plan.memory(op.source)))
    scaling, constants = _scaling(plan, label, op.weights, op.zero)
    ending, parts = _ending(plan, label, op.requantisation)
    call = (
        f"{function}({plan.place(op.source)}, {op.weights.weight.shape[1]}, {weight.name}, "
        f"{len(op.weights.offset)}, &{label}_scaling, &{label}_ending, {plan.place(step.output)})"
    )
    return Call(
        comment(plan, step, label, _curved("matrix", op.requantisation)),
        call,
        ("rounded", "ending", "scaling", function),
        [scaling, ending],
        [weight, *constants, *parts],
        len(op.weights.offset),
    )


def _mean(plan: MemoryPlan, step: PlannedCall, label: str) -> Call:
    op = step.op
    assert isinstance(op, QMean)
    function = "wide_mean" if op.requantisation.wide else "mean"
    geometry = window(plan, step, label, kernel=op.kernel, stride=op.stride)
    call = (
        f"{function}(&{label}, {plan.place(op.source)}, {op.zero}, {op.multiplier}, {op.shift}, "
        f"&{label}_ending, {plan.place(step.output)})"
    )
    said = comment(plan, step, label, f"mean of {op.kernel[0]}x{op.kernel[1]}")
    kernels = ("window", "rounded", "ending", function)
    return Call(said, call, kernels, [geometry, _ending(plan, label, op.requantisation)[0]])


def _activation(plan: MemoryPlan, step: PlannedCall, label: str) -> Call:
    op = step.op
    assert isinstance(op, QActivation)
    multiplier = ConstantArray(f"{label}_multiplier", np.array(op.multipliers, np.uint16))
    step_over = int(len(op.multipliers) > 1)
    call = (
        f"activation({plan.place(op.source)}, {pixels(op.shape)}, {op.shape[0]}, {op.zero}, "
        f"{multiplier.name}, {step_over}, {op.shift}, &{label}_ending, {plan.place(step.output)})"
    )
    said = comment(plan, step, label, _curved("value by value", op.requantisation))
    ending, constants = _ending(plan, label, op.requantisation)
    kernels = ("rounded", "ending", "activation")
    return Call(said, call, kernels, [ending], [multiplier, *constants])


def _sum(plan: MemoryPlan, step: PlannedCall, label: str) -> Call:
    op = step.op
    assert isinstance(op, QSum)
    left, right = (
        f"{plan.place(source)}, {zero}, {multiplier}"
        for source, zero, multiplier in zip(op.sources, op.zeros, op.multipliers, strict=True)
    )
    call = (
        f"add({left}, {right}, {pixels(op.shape)}, {op.shape[0]}, {op.shift}, &{label}_ending, "
        f"{plan.place(step.output)})"
    )
    said = comment(plan, step, label, _curved("sum", op.requantisation))
    ending, parts = _ending(plan, label, op.requantisation)
    return Call(said, call, ("rounded", "ending", "add"), [ending], parts)


def _product(plan: MemoryPlan, step: PlannedCall, label: str) -> Call:
    op = step.op
    assert isinstance(op, QProduct)
    channels = op.shape[0]
    step_over = channels if plan.shapes[op.sources[1]] == op.shape else 0
    call = (
        f"multiply({plan.place(op.sources[0])}, {op.zeros[0]}, {pixels(op.shape)}, {channels}, "
        f"{plan.place(op.sources[1])}, {op.zeros[1]}, {step_over}, {op.multiplier}, {op.shift}, "
        f"&{label}_ending, {plan.place(step.output)})"
    )
    said = comment(plan, step, label, "product")
    return Call(
        said, call, ("rounded", "ending", "multiply"), [_ending(plan, label, op.requantisation)[0]]
    )


def _concat(plan: MemoryPlan, step: PlannedCall, label: str) -> Call:
    op, before, calls = step.op, 0, []
    assert isinstance(op, QConcat)
    for source, zero, multiplier in zip(op.sources, op.zeros, op.multipliers, strict=True):
        channels = plan.shapes[source][0]
        calls.append(
            f"join({plan.place(source)}, {zero}, {multiplier}, {pixels(op.shape)}, {channels}, "
            f"{op.shape[0]}, {op.shift}, &{label}_ending, {plan.place(step.output)} + {before})"
        )
        before += channels
    said = comment(plan, step, label, "side by side")
    kernels = ("rounded", "ending", "join")
    return Call(said, ";\n    ".join(calls), kernels, [_ending(plan, label, op.requantisation)[0]])


CALLS: Mapping[type[Operator], Callable[[MemoryPlan, PlannedCall, str], Call]] = {
    QConv2d: _conv2d,
    QLinear: _linear,
    QMean: _mean,
    QActivation: _activation,
    QSum: _sum,
    QProduct: _product,
    QConcat: _concat,
    ops.MaxPool: max_pool,
    ops.Flatten: flatten,
}
