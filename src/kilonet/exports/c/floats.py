"""Calls of the C functions of float networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

import numpy as np

from kilonet.exports.c.calls import (
    Call,
    convolution_function,
    convolution_weights,
    linear_weights,
    p4_weights,
    pixel_count,
    step_comment,
    window_struct,
    window_text,
)
from kilonet.exports.c.plan import MemoryPlan, PlannedCall
from kilonet.exports.c.text import ConstantArray, number
from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.operators import Operator
from kilonet.exports.graph.p4 import P4Filters, find_p4_filters

LOWEST = "-FLT_MAX"


def float_call(plan: MemoryPlan, step: PlannedCall, label: str) -> Call:
    """Return the call of one step of a float network; ``label`` names its constants."""
    return CALLS[type(step.op)](plan, step, label)


def _low(relu: bool) -> str:
    return "0.0f" if relu else LOWEST


def _with_relu(what: str, relu: bool) -> str:
    return f"{what}, ReLU" if relu else what


def _input_scaling(plan: MemoryPlan, step: PlannedCall, label: str) -> Call:
    op = step.op
    assert isinstance(op, ops.InputScaling)
    scale, offset = (
        ConstantArray(f"{label}_scale", op.scale),
        ConstantArray(f"{label}_offset", op.offset),
    )
    call = (
        f"input_scaling(image, {pixel_count(op.shape)}, {op.shape[0]}, {scale.name}, "
        f"{offset.name}, {plan.place(step.output)})"
    )
    text = step_comment(plan, step, label, "normalisation of pixels")
    return Call(text, call, ("input_scaling",), constants=[scale, offset])


def _conv2d(plan: MemoryPlan, step: PlannedCall, label: str) -> Call:
    op = step.op
    assert isinstance(op, ops.Conv2d)
    p4 = find_p4_filters(op.weight, op.groups)
    function, what, regular = convolution_function(op, p4)
    stored = _whole(op, label) if p4 is None else _shared(op, p4, function, label)
    names = [constant.name if constant else "0" for constant in stored]
    geometry = window_struct(
        plan, step, label, kernel=op.kernel, stride=op.stride, padding=op.padding, groups=op.groups
    )
    call = (
        f"{function}(&{label}, {regular}{plan.place(op.source)}, {', '.join(names)}, "
        f"{_low(op.relu)}, {plan.place(step.output)})"
    )
    return Call(
        step_comment(plan, step, label, _with_relu(window_text(what, op), op.relu)),
        call,
        ("window", function, *(["scaled"] if p4 else [])),
        [geometry],
        [constant for constant in stored if constant],
        len(op.bias),
    )


def _whole(op: ops.Conv2d, label: str) -> list[ConstantArray | None]:
    """Return the constants of a convolution: weights and biases."""
    weight = ConstantArray(
        f"{label}_weight", convolution_weights(op.weight, op.groups, op.depthwise)
    )
    return [weight, ConstantArray(f"{label}_bias", op.bias)]


def _shared(op: ops.Conv2d, p4: P4Filters, function: str, label: str) -> list[ConstantArray | None]:
    """Return the constants of a p4 convolution: weights; scales and biases if it needs them."""
    weight = ConstantArray(f"{label}_weight", p4_weights(p4, function))
    scale = ConstantArray(f"{label}_scale", p4.factors.astype(np.float32))
    bias = ConstantArray(f"{label}_bias", op.bias)
    return [weight, None if p4.are_equal else scale, bias if op.bias.any() else None]


def _linear(plan: MemoryPlan, step: PlannedCall, label: str) -> Call:
    op = step.op
    assert isinstance(op, ops.Linear)
    weight = ConstantArray(f"{label}_weight", linear_weights(op.weight, plan.memory(op.source)))
    bias = ConstantArray(f"{label}_bias", op.bias)
    call = (
        f"linear({plan.place(op.source)}, {op.weight.shape[1]}, {weight.name}, {bias.name}, "
        f"{len(op.bias)}, {_low(op.relu)}, {plan.place(step.output)})"
    )
    text = step_comment(plan, step, label, _with_relu("matrix", op.relu))
    return Call(text, call, ("linear",), [], [weight, bias])


def max_pool(plan: MemoryPlan, step: PlannedCall, label: str) -> Call:
    op = step.op
    assert isinstance(op, ops.MaxPool)
    geometry = window_struct(
        plan, step, label, kernel=op.kernel, stride=op.stride, padding=op.padding
    )
    call = f"max_pool(&{label}, {plan.place(op.source)}, {plan.place(step.output)})"
    text = step_comment(plan, step, label, window_text("max pooling", op))
    return Call(text, call, ("window", "max_pool"), [geometry])


def _mean(plan: MemoryPlan, step: PlannedCall, label: str) -> Call:
    op = step.op
    kernel, stride = plan.shapes[op.source][1:], (1, 1)
    if isinstance(op, ops.AvgPool):
        kernel, stride = op.kernel, op.stride
    geometry = window_struct(plan, step, label, kernel=kernel, stride=stride)
    call = f"mean(&{label}, {plan.place(op.source)}, {plan.place(step.output)})"
    text = step_comment(plan, step, label, f"mean of {kernel[0]}x{kernel[1]}")
    return Call(text, call, ("window", "mean"), [geometry])


def _pointwise(function: str) -> Callable[[MemoryPlan, PlannedCall, str], Call]:
    def call(plan: MemoryPlan, step: PlannedCall, label: str) -> Call:
        slope = f"{number(step.op.slope)}, " if isinstance(step.op, ops.LeakyReLU) else ""
        text = (
            f"{function}({plan.place(step.op.source)}, {prod(step.shape)}, {slope}"
            f"{plan.place(step.output)})"
        )
        return Call(step_comment(plan, step, label, function), text, (function,))

    return call


def _add(plan: MemoryPlan, step: PlannedCall, label: str) -> Call:
    op = step.op
    assert isinstance(op, ops.Add)
    left, right = map(plan.place, op.sources)
    call = f"add({left}, {right}, {prod(op.shape)}, {_low(op.relu)}, {plan.place(step.output)})"
    return Call(step_comment(plan, step, label, _with_relu("sum", op.relu)), call, ("add",))


def _mul(plan: MemoryPlan, step: PlannedCall, label: str) -> Call:
    op = step.op
    left, right = map(plan.place, op.sources)
    channels = op.shape[0]
    step_over = channels if plan.shapes[op.sources[1]] == op.shape else 0
    call = (
        f"multiply({left}, {pixel_count(op.shape)}, {channels}, {right}, {step_over}, "
        f"{plan.place(step.output)})"
    )
    return Call(step_comment(plan, step, label, "product"), call, ("multiply",))


def _concat(plan: MemoryPlan, step: PlannedCall, label: str) -> Call:
    op, before, calls = step.op, 0, []
    for source in op.sources:
        channels = plan.shapes[source][0]
        calls.append(
            f"join({plan.place(source)}, {pixel_count(op.shape)}, {channels}, {op.shape[0]}, "
            f"{plan.place(step.output)} + {before})"
        )
        before += channels
    return Call(step_comment(plan, step, label, "concatenation"), ";\n    ".join(calls), ("join",))


def flatten(plan: MemoryPlan, step: PlannedCall, label: str) -> Call:
    channels, height, width = plan.shapes[step.op.source]
    call = (
        f"flatten({plan.place(step.op.source)}, {height * width}, {channels}, "
        f"{plan.place(step.output)})"
    )
    return Call(step_comment(plan, step, label, "channel by channel"), call, ("flatten",))


CALLS: Mapping[type[Operator], Callable[[MemoryPlan, PlannedCall, str], Call]] = {
    ops.InputScaling: _input_scaling,
    ops.Conv2d: _conv2d,
    ops.Linear: _linear,
    ops.MaxPool: max_pool,
    ops.AvgPool: _mean,
    ops.GlobalAvgPool: _mean,
    ops.ReLU: _pointwise("relu"),
    ops.LeakyReLU: _pointwise("leaky_relu"),
    ops.SiLU: _pointwise("silu"),
    ops.Sigmoid: _pointwise("sigmoid"),
    ops.Add: _add,
    ops.Mul: _mul,
    ops.Concat: _concat,
    ops.Flatten: flatten,
}
