"""What the C does step by step, and where the values lie meanwhile.

Maps lie row by row, the channels of a pixel side by side (HWC): the innermost loops then run over
channels, in memory's order for every kind of layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

from kilonet.exports.c.arena import Arena, Lifetime, arrange
from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.attributes import Pair
from kilonet.exports.graph.operators import (
    IMAGE,
    LOGITS,
    Operator,
    Shape,
    UnsupportedOperatorError,
)
from kilonet.exports.int8.operators import QActivation, QConv2d, QLinear, QMean, QProduct, QSum

IN_PLACE = (
    ops.ReLU,
    ops.LeakyReLU,
    ops.SiLU,
    ops.Sigmoid,
    ops.Add,
    ops.Mul,
    QActivation,
    QSum,
    QProduct,
)
CONVOLUTIONS = (ops.Conv2d, QConv2d)
WINDOWS = (*CONVOLUTIONS, ops.MaxPool, ops.AvgPool, ops.GlobalAvgPool, QMean)
"""What reads its input from top to bottom, and a row of it no more once the window has passed."""

MATRICES = (ops.Linear, QLinear)


@dataclass(frozen=True)
class PlannedCall:
    """One call: an operator, and the max pooling that is done on the way (1, 1: none)."""

    op: Operator
    output: str
    shape: Shape
    pool: Pair = (1, 1)


@dataclass(frozen=True)
class MemoryPlan:
    """The calls in order, and the places of values in the arena.

    ``roots`` names, for each value that is only a view, the value whose memory it is.
    """

    image: Shape
    steps: tuple[PlannedCall, ...]
    shapes: Mapping[str, Shape]
    roots: Mapping[str, str]
    arena: Arena
    buffers: Mapping[str, str]

    def memory(self, value: str) -> Shape:
        """Return the shape that a value lies in: a map's, for a vector that is a view of it."""
        return self.shapes[self.roots.get(value, value)]

    def place(self, value: str) -> str:
        """Return the C expression of the address of a value."""
        root = self.roots.get(value, value)
        if root in (IMAGE, LOGITS):
            return root
        return f"arena + {self.arena.offsets[self.buffers[root]]}"


def make_plan(image: Shape, operators: Sequence[Operator]) -> MemoryPlan:
    """Return the steps for ``operators``, in float or in integers, less the softmax.

    Raises:
        UnsupportedOperatorError: a view would have to move values.
    """
    kept = [op for op in operators if not isinstance(op, ops.Softmax)]
    shapes = {IMAGE: image, **{op.output: op.shape for op in kept}}
    roots = _roots(kept, shapes)
    steps = _steps([op for op in kept if op.output not in roots], kept)
    if LOGITS in roots:  # then what it is a view of is what is written there
        made = roots.pop(LOGITS)
        roots = {name: LOGITS if root == made else root for name, root in roots.items()}
        roots[made] = LOGITS
    steps = [replace(step, output=roots.get(step.output, step.output)) for step in steps]
    lifetimes, buffers = _lifetimes(steps, roots)
    distances = _distances(steps, roots, shapes, lifetimes, buffers)
    arena = arrange(lifetimes, distances)
    return MemoryPlan(image, tuple(steps), shapes, roots, arena, buffers)


def _roots(kept: Sequence[Operator], shapes: Mapping[str, Shape]) -> dict[str, str]:
    """Return the views that move nothing, each with the value that it is a view of."""
    roots: dict[str, str] = {}
    for op in kept:
        if isinstance(op, ops.View) and _moves_nothing(op, kept, shapes):
            roots[op.output] = roots.get(op.source, op.source)
    return roots


def _moves_nothing(op: Operator, kept: Sequence[Operator], shapes: Mapping[str, Shape]) -> bool:
    before, after = shapes[op.source], op.shape
    if before == after or all(_in_order(shape) for shape in (before, after)):
        return True
    users = [user for user in kept if op.output in user.sources]
    if isinstance(op, ops.Flatten) and users and all(isinstance(u, MATRICES) for u in users):
        return True  # their columns are put into the map's order instead
    if isinstance(op, ops.Flatten):
        return False
    raise UnsupportedOperatorError(
        f"The target C lacks the operator Reshape from {before} to {after}, which moves values. "
        "Export it to onnx."
    )


def _in_order(shape: Shape) -> bool:
    """Say whether channels first and channels last are the same order of values."""
    return shape[0] == prod(shape) or shape[0] == 1


def _steps(moving: Sequence[Operator], kept: Sequence[Operator]) -> list[PlannedCall]:
    """Return the calls, a convolution and the max pooling of what it makes as one."""
    steps: list[PlannedCall] = []
    for op in moving:
        last = steps[-1] if steps else None
        if (
            isinstance(op, ops.MaxPool)
            and last is not None
            and isinstance(last.op, CONVOLUTIONS)
            and last.output == op.source
            and last.pool == (1, 1)
            and op.kernel == op.stride
            and not any(op.padding)
            and sum(op.source in user.sources for user in kept) == 1
        ):
            steps[-1] = PlannedCall(last.op, op.output, op.shape, op.kernel)
        else:
            steps.append(PlannedCall(op, op.output, op.shape))
    return steps


def _lifetimes(
    steps: Sequence[PlannedCall], roots: Mapping[str, str]
) -> tuple[dict[str, Lifetime], dict[str, str]]:
    """Return the buffers with their lifetimes, and the buffer of each value that has one."""
    last: dict[str, int] = {}
    for number, step in enumerate(steps):
        for source in step.op.sources:
            last[roots.get(source, source)] = number
    lifetimes: dict[str, Lifetime] = {}
    buffers: dict[str, str] = {}
    for number, step in enumerate(steps):
        if step.output == LOGITS:
            continue
        ends, size = last.get(step.output, number), prod(step.shape)
        reused = _reused(step, number, last, roots, buffers)
        if reused is not None:
            lifetimes[reused] = Lifetime(size, lifetimes[reused].first, ends)
            buffers[step.output] = reused
        else:
            lifetimes[step.output] = Lifetime(size, number, ends)
            buffers[step.output] = step.output
    return lifetimes, buffers


def _reused(
    step: PlannedCall,
    number: int,
    last: Mapping[str, int],
    roots: Mapping[str, str],
    buffers: Mapping[str, str],
) -> str | None:
    """Return the buffer of a source that nothing needs any more, where a step may overwrite it."""
    if not isinstance(step.op, IN_PLACE):
        return None
    first, *others = step.op.sources
    for source in [first, *others] if isinstance(step.op, ops.Add | QSum) else [first]:
        root = roots.get(source, source)
        if last[root] == number and root in buffers:
            return buffers[root]
    return None


def _distances(
    steps: Sequence[PlannedCall],
    roots: Mapping[str, str],
    shapes: Mapping[str, Shape],
    lifetimes: Mapping[str, Lifetime],
    buffers: Mapping[str, str],
) -> dict[tuple[str, str], int]:
    """Return which outputs may reach into their inputs, and how far before these they begin."""
    found = {}
    for number, step in enumerate(steps):
        source = roots.get(step.op.source, step.op.source)
        if not isinstance(step.op, WINDOWS) or source not in buffers or step.output == LOGITS:
            continue
        if lifetimes[buffers[source]].last == number:
            found[buffers[step.output], buffers[source]] = _distance(step, shapes[step.op.source])
    return found


def _distance(step: PlannedCall, shape: Shape) -> int:
    """Return by how many elements the output must be ahead when each of its rows is written."""
    channels, height, width = shape
    outputs, rows, columns = step.shape
    top = getattr(step.op, "padding", (0,))[0]
    stride: Pair = getattr(step.op, "stride", (1, 1))  # a global mean has one window
    down = stride[0] * step.pool[0]
    needed = (min(max(row * down - top, 0), height) for row in range(rows))
    return max(
        (row + 1) * columns * outputs - first * width * channels for row, first in enumerate(needed)
    )
