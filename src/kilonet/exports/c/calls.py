"""Parts of the generated C calls of float networks: constants, structs, weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from kilonet.exports.c.plan import MemoryPlan, PlannedCall
from kilonet.exports.c.text import ConstantArray, shape_text, struct
from kilonet.exports.graph.operators import Shape
from kilonet.exports.graph.p4 import P4Filters
from kilonet.recipe.layer_spec import ORIENTATIONS


@dataclass
class Call:
    """One step in C: a comment, constant structs, the call, and the constants that it reads.

    ``functions`` are the names of the functions that it needs; ``channels`` is the number of
    accumulators that it needs at the same time.
    """

    comment: str
    call: str
    functions: tuple[str, ...]
    structs: list[str] = field(default_factory=list)
    constants: list[ConstantArray] = field(default_factory=list)
    channels: int = 0

    def text(self) -> str:
        """Return the lines of the function body."""
        return "\n".join([f"    /* {self.comment} */", *self.structs, f"    {self.call};"])


def step_comment(plan: MemoryPlan, step: PlannedCall, label: str, what: str) -> str:
    """Return the comment on a step: its label, shapes, and ``what``."""
    sources = " and ".join(shape_text(plan.shapes[source]) for source in step.op.sources)
    pooled = f", then {step.pool[0]}x{step.pool[1]} max pooling" if step.pool != (1, 1) else ""
    return f"{label}: {sources} -> {shape_text(step.shape)}, {what}{pooled}"


def window_struct(plan: MemoryPlan, step: PlannedCall, name: str, **given: Any) -> str:
    """Return the window struct of a step; ``given`` are kernel, stride, padding and groups."""
    channels, height, width = plan.shapes[step.op.source]
    kernel, stride = given["kernel"], given["stride"]
    top, left, *_ = given.get("padding", (0, 0, 0, 0))
    fields = {"height": height, "width": width, "channels": channels}
    fields |= {"out_height": step.shape[1], "out_width": step.shape[2]}
    fields |= {"out_channels": step.shape[0]}
    fields |= {"kernel_height": kernel[0], "kernel_width": kernel[1]}
    fields |= {"stride_down": stride[0], "stride_across": stride[1], "top": top, "left": left}
    fields |= {"groups": given.get("groups", 1)}
    fields |= {"pool_down": step.pool[0], "pool_across": step.pool[1]}
    return struct("window", name, fields)


def window_text(kind: str, op: Any) -> str:
    """Return the kind of window, its size and its stride for a comment."""
    stride = "" if op.stride == (1, 1) else f", stride {op.stride[0]}x{op.stride[1]}"
    return f"{op.kernel[0]}x{op.kernel[1]} {kind}{stride}"


def convolution_function(op: Any, p4: P4Filters | None) -> tuple[str, str, str]:
    """Return a convolution's function, its name in comments, and its extra argument, if any."""
    function = "depthwise" if op.depthwise else "conv2d"
    kind = "depthwise convolution" if op.depthwise else "convolution"
    if p4 is None:
        return function, kind, ""
    described = f"{kind} with p4 filters"
    if op.depthwise:
        return "depthwise_p4", described, ""
    if p4.regular and op.kernel == (1, 1) and not any(op.padding):
        return "pointwise_p4", described, ""
    return "conv2d_p4", described, f"{int(p4.regular)}, "


def convolution_weights(weight: npt.NDArray[Any], groups: int, depthwise: bool) -> npt.NDArray[Any]:
    """Return convolution weights in the order in which the C reads them."""
    if depthwise:
        return np.ascontiguousarray(weight[:, 0].transpose(1, 2, 0))
    outputs, inputs, height, width = weight.shape
    grouped = weight.reshape(groups, outputs // groups, inputs, height, width)
    return np.ascontiguousarray(grouped.transpose(0, 3, 4, 2, 1))


def p4_weights(p4: P4Filters, function: str) -> npt.NDArray[Any]:
    """Return the stored weights of p4 filters in the order in which ``function`` reads them."""
    if function != "pointwise_p4":
        return convolution_weights(p4.base, 1, function == "depthwise_p4")
    stored_filters, inputs, *_ = p4.base.shape
    by_input = p4.base.reshape(stored_filters, inputs // ORIENTATIONS, ORIENTATIONS)
    return np.ascontiguousarray(by_input.transpose(1, 0, 2))


def linear_weights(weight: npt.NDArray[Any], memory: Shape) -> npt.NDArray[Any]:
    """Return a matrix (O, N) as [input][output], its inputs in the order of shape ``memory``."""
    order = np.arange(weight.shape[1])
    if len(memory) == 3:
        order = order.reshape(memory).transpose(1, 2, 0).ravel()
    return np.ascontiguousarray(weight[:, order].T)


def pixel_count(shape: Shape) -> int:
    """Return H·W of a map, 1 for a vector."""
    return prod(shape[1:])
