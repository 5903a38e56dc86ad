"""Calls of the C functions of integer networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from kilonet.exports.c.calls import (
    Call,
    convolution_function,
    convolution_weights,
    has_byte_scales,
    linear_weights,
    one_per_orientation_group,
    p4_weights,
    pixel_count,
    shared_filters,
    split_common_factor,
    step_comment,
    window_struct,
    window_text,
)
from kilonet.exports.c.floats import flatten, max_pool
from kilonet.exports.c.plan import MemoryPlan, PlannedCall
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

ACTIVATION_TEXT = {
    "none": "",
    "silu": ", SiLU",
    "sigmoid": ", sigmoid",
    "leaky_relu": ", leaky ReLU",
}


def integer_call(plan: MemoryPlan, step: PlannedCall, label: str) -> Call:
    """Return the call of one step of an integer network; ``label`` names its constants."""
    return CALLS[type(step.op)](plan, step, label)


def _requantisation(
    plan: MemoryPlan, label: str, to: Requantisation
) -> tuple[str, list[ConstantArray]]:
    """Return the struct and the constants of a requantisation."""
    fields: dict[str, object] = {"zero_point": to.zero_point, "low": to.low, "high": to.high}
    if to.activation != "none":
        fields |= {"activation": to.activation.upper(), "multiplier": to.multiplier}
        fields |= {"shift": to.shift, "slope": to.slope}
    constants = []
    if to.divisors:
        divisors, orientation_shift = np.array(to.divisors, np.uint8), 0
        if has_byte_scales(plan):
            divisors, orientation_shift = one_per_orientation_group(divisors)
            fields["orientation_shift"] = orientation_shift
        constants = [ConstantArray(f"{label}_divisors", divisors)]
        fields["divisors"] = constants[0].name
    return struct("requantisation", f"{label}_requantisation", fields), constants


def _scaling(
    plan: MemoryPlan, label: str, weights: QuantisedWeights, zero_point: int
) -> tuple[str, list[ConstantArray]]:
    """Return the struct and the constants that scale a layer's sums."""
    fields: dict[str, object] = {"zero_point": zero_point}
    if has_byte_scales(plan):
        constants = _byte_scaling(fields, label, weights)
    else:
        constants = [
            ConstantArray(f"{label}_multiplier", weights.multiplier),
            ConstantArray(f"{label}_offset", weights.offset),
        ]
        fields |= {"offset_shift": weights.offset_shift, "shift": weights.shift}
        fields |= {"multiplier": constants[0].name, "offset": constants[1].name}
    return struct("scaling", f"{label}_scaling", fields), constants


def _byte_scaling(
    fields: dict[str, object], label: str, weights: QuantisedWeights
) -> list[ConstantArray]:
    """Return the constants of a scaling with byte multipliers, and add its ``fields``."""
    integers, unit = split_common_factor(weights.multiplier)
    multipliers, orientation_shift = one_per_orientation_group(integers.astype(np.uint8))
    constants = [ConstantArray(f"{label}_multiplier", multipliers)]
    fields |= {"shift": weights.shift, "multiplier_unit": unit}
    fields |= {"orientation_shift": orientation_shift, "multiplier": constants[0].name}
    if weights.offset.any():
        offsets, unit = split_common_factor(weights.offset)
        constants.append(ConstantArray(f"{label}_offset", offsets.astype(np.int8)))
        fields |= {"offset_unit": unit << weights.offset_shift, "offset": constants[1].name}
    return constants


def _with_activation(what: str, to: Requantisation) -> str:
    relu = ", ReLU" if to.activation == "none" and to.low == to.zero_point else ""
    return f"{what}{ACTIVATION_TEXT[to.activation] or relu}"


def _filters(op: QConv2d) -> npt.NDArray[np.int8]:
    return convolution_weights(op.weights.weight, op.groups, op.depthwise)


def _conv2d(plan: MemoryPlan, step: PlannedCall, label: str) -> Call:
    op = step.op
    assert isinstance(op, QConv2d)
    p4 = shared_filters(op)
    function, what, regular = convolution_function(op, p4)
    stored = p4_weights(p4, function) if p4 else _filters(op)
    weight = ConstantArray(f"{label}_weight", stored)
    scaling, constants = _scaling(plan, label, op.weights, op.zero_point)
    requantisation, divisors = _requantisation(plan, label, op.requantisation)
    geometry = window_struct(
        plan, step, label, kernel=op.kernel, stride=op.stride, padding=op.padding, groups=op.groups
    )
    call = (
        f"{function}(&{label}, {regular}{plan.place(op.source)}, {weight.name}, &{label}_scaling, "
        f"&{label}_requantisation, {plan.place(step.output)})"
    )
    return Call(
        step_comment(plan, step, label, _with_activation(window_text(what, op), op.requantisation)),
        call,
        ("window", "rounded", "requantisation", "scaling", function),
        [geometry, scaling, requantisation],
        [weight, *constants, *divisors],
        len(op.weights.offset),
    )


def _linear(plan: MemoryPlan, step: PlannedCall, label: str) -> Call:
    op = step.op
    assert isinstance(op, QLinear)
    function = "linear_int16" if op.requantisation.is_int16 else "linear"
    weight = ConstantArray(
        f"{label}_weight", linear_weights(op.weights.weight, plan.memory(op.source))
    )
    scaling, constants = _scaling(plan, label, op.weights, op.zero_point)
    requantisation, divisors = _requantisation(plan, label, op.requantisation)
    call = (
        f"{function}({plan.place(op.source)}, {op.weights.weight.shape[1]}, {weight.name}, "
        f"{len(op.weights.offset)}, &{label}_scaling, &{label}_requantisation, "
        f"{plan.place(step.output)})"
    )
    return Call(
        step_comment(plan, step, label, _with_activation("matrix", op.requantisation)),
        call,
        ("rounded", "requantisation", "scaling", function),
        [scaling, requantisation],
        [weight, *constants, *divisors],
        len(op.weights.offset),
    )


def _mean(plan: MemoryPlan, step: PlannedCall, label: str) -> Call:
    op = step.op
    assert isinstance(op, QMean)
    function = "mean_int16" if op.requantisation.is_int16 else "mean"
    geometry = window_struct(plan, step, label, kernel=op.kernel, stride=op.stride)
    requantisation, _ = _requantisation(plan, label, op.requantisation)
    call = (
        f"{function}(&{label}, {plan.place(op.source)}, {op.zero_point}, {op.multiplier}, "
        f"{op.shift}, &{label}_requantisation, {plan.place(step.output)})"
    )
    text = step_comment(plan, step, label, f"mean of {op.kernel[0]}x{op.kernel[1]}")
    functions = ("window", "rounded", "requantisation", function)
    return Call(text, call, functions, [geometry, requantisation])


def _activation(plan: MemoryPlan, step: PlannedCall, label: str) -> Call:
    op = step.op
    assert isinstance(op, QActivation)
    multiplier = ConstantArray(f"{label}_multiplier", np.array(op.multipliers, np.uint16))
    step_over = int(len(op.multipliers) > 1)
    requantisation, constants = _requantisation(plan, label, op.requantisation)
    call = (
        f"activation({plan.place(op.source)}, {pixel_count(op.shape)}, {op.shape[0]}, "
        f"{op.zero_point}, {multiplier.name}, {step_over}, {op.shift}, &{label}_requantisation, "
        f"{plan.place(step.output)})"
    )
    text = step_comment(plan, step, label, _with_activation("pointwise", op.requantisation))
    functions = ("rounded", "requantisation", "activation")
    return Call(text, call, functions, [requantisation], [multiplier, *constants])


def _sum(plan: MemoryPlan, step: PlannedCall, label: str) -> Call:
    op = step.op
    assert isinstance(op, QSum)
    left, right = (
        f"{plan.place(source)}, {zero_point}, {multiplier}"
        for source, zero_point, multiplier in zip(
            op.sources, op.zero_points, op.multipliers, strict=True
        )
    )
    requantisation, divisors = _requantisation(plan, label, op.requantisation)
    call = (
        f"add({left}, {right}, {pixel_count(op.shape)}, {op.shape[0]}, {op.shift}, "
        f"&{label}_requantisation, {plan.place(step.output)})"
    )
    text = step_comment(plan, step, label, _with_activation("sum", op.requantisation))
    return Call(text, call, ("rounded", "requantisation", "add"), [requantisation], divisors)


def _product(plan: MemoryPlan, step: PlannedCall, label: str) -> Call:
    op = step.op
    assert isinstance(op, QProduct)
    channels = op.shape[0]
    step_over = channels if plan.shapes[op.sources[1]] == op.shape else 0
    left, right = map(plan.place, op.sources)
    requantisation, _ = _requantisation(plan, label, op.requantisation)
    call = (
        f"multiply({left}, {op.zero_points[0]}, {pixel_count(op.shape)}, {channels}, {right}, "
        f"{op.zero_points[1]}, {step_over}, {op.multiplier}, {op.shift}, "
        f"&{label}_requantisation, {plan.place(step.output)})"
    )
    text = step_comment(plan, step, label, "product")
    return Call(text, call, ("rounded", "requantisation", "multiply"), [requantisation])


def _concat(plan: MemoryPlan, step: PlannedCall, label: str) -> Call:
    op, before, calls = step.op, 0, []
    assert isinstance(op, QConcat)
    requantisation, _ = _requantisation(plan, label, op.requantisation)
    for source, zero_point, multiplier in zip(
        op.sources, op.zero_points, op.multipliers, strict=True
    ):
        channels = plan.shapes[source][0]
        calls.append(
            f"join({plan.place(source)}, {zero_point}, {multiplier}, {pixel_count(op.shape)}, "
            f"{channels}, {op.shape[0]}, {op.shift}, &{label}_requantisation, "
            f"{plan.place(step.output)} + {before})"
        )
        before += channels
    text = step_comment(plan, step, label, "concatenation")
    functions = ("rounded", "requantisation", "join")
    return Call(text, ";\n    ".join(calls), functions, [requantisation])


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
