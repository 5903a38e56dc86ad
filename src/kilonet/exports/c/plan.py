"""The plan of the C code: its calls in order, and the place of each value in one static array.

Feature maps are in the order row, column, channel (HWC), so that the innermost loops run over
adjacent channels for every kind of layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.operators import (
    IMAGE,
    LOGITS,
    Operator,
    Pair,
    Shape,
    UnsupportedOperatorError,
)
from kilonet.exports.int8.operators import QLinear

IN_PLACE = (
    ops.ReLU,
    ops.LeakyReLU,
    ops.SiLU,
    ops.Sigmoid,
    ops.Add,
    ops.Mul,
)
WINDOWS = (ops.Conv2d, ops.MaxPool, ops.AvgPool, ops.GlobalAvgPool)
"""Operators that read their input from top to bottom, and no row again after the window."""

MATRICES = (ops.Linear, QLinear)


@dataclass(frozen=True)
class Lifetime:
    """A buffer of ``size`` elements, needed from step ``first`` to step ``last``."""

    size: int
    first: int
    last: int

    def overlaps(self, other: Lifetime) -> bool:
        """Return whether both are needed at some step."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Arena:
    """The offset of each buffer in the static array, and the array's size, in elements."""

    offsets: Mapping[str, int]
    size: int


Distances = Mapping[tuple[str, str], int]
"""For (output, input) of a step that is the last reader of its input and reads it row by row: how
many elements before the input the output must begin at least, so that it overwrites no row before
it is read."""


def arrange(lifetimes: Mapping[str, Lifetime], distances: Distances | None = None) -> Arena:
    """Place the buffers in one array: the largest first, each where the array grows least.

    This is the greedy method by size of Pisarchyk and Lee 2020, "Efficient memory management for
    deep neural net inference", section 5. An output may overlap its own input as ``distances``
    allow (Blacker et al. 2020, "Diagonal memory optimisation for machine learning on
    micro-controllers").
    """
    placed: dict[str, int] = {}
    bottom, top = 0, 0
    for name, life in sorted(lifetimes.items(), key=lambda item: (-item[1].size, item[1].first)):
        occupied = [
            _occupied(name, other, lifetimes, placed[other], distances or {})
            for other in placed
            if lifetimes[other].overlaps(life)
        ]
        spans = [
            (max(top, offset + life.size) - min(bottom, offset), offset)
            for offset in _free(occupied)
        ]
        _, offset = min(spans)
        placed[name] = offset
        bottom, top = min(bottom, offset), max(top, offset + life.size)
    return Arena({name: offset - bottom for name, offset in placed.items()}, top - bottom)


def _occupied(
    name: str, other: str, lifetimes: Mapping[str, Lifetime], offset: int, distances: Distances
) -> tuple[int, int]:
    """Return the first and last offset at which ``name`` may not begin because of ``other``."""
    before = distances.get((name, other), lifetimes[name].size)
    after = distances.get((other, name), lifetimes[other].size)
    return offset - before + 1, offset + after - 1


def _free(occupied: Sequence[tuple[int, int]]) -> list[int]:
    """Return the free offsets next to ``occupied`` ranges, and 0 if it is free."""
    ends = {0, *(first - 1 for first, _ in occupied), *(last + 1 for _, last in occupied)}
    return [
        offset for offset in ends if not any(first <= offset <= last for first, last in occupied)
    ]


@dataclass(frozen=True)
class PlannedCall:
    """One call: an operator, and the max pooling fused with it (1, 1: none)."""

    op: Operator
    output: str
    shape: Shape
    pool: Pair = (1, 1)


@dataclass(frozen=True)
class MemoryPlan:
    """The calls in order, and the places of values in the arena.

    ``roots`` maps each value that is only a view to the value whose memory it uses. ``buffers``
    maps the others to their buffers in the arena.
    """

    image: Shape
    steps: tuple[PlannedCall, ...]
    shapes: Mapping[str, Shape]
    roots: Mapping[str, str]
    arena: Arena
    buffers: Mapping[str, str]

    def memory(self, value: str) -> Shape:
        """Return the shape of a value in memory: a map's, for a vector that is a view of it."""
        return self.shapes[self.roots.get(value, value)]

    def place(self, value: str) -> str:
        """Return the C expression of the address of a value."""
        root = self.roots.get(value, value)
        if root in (IMAGE, LOGITS):
            return root
        return f"arena + {self.arena.offsets[self.buffers[root]]}"


def make_plan(image: Shape, operators: Sequence[Operator]) -> MemoryPlan:
    """Return the plan for ``operators`` in float, without the softmax.

    Raises:
        UnsupportedOperatorError: a view would have to reorder values.
    """
    steps, shapes, roots = planned_calls(image, operators, _same_order, _is_convolution)
    lifetimes, buffers = _lifetimes(steps, roots)
    distances = _distances(steps, roots, shapes, lifetimes, buffers)
    arena = arrange(lifetimes, distances)
    return MemoryPlan(image, steps, shapes, roots, arena, buffers)


def planned_calls(
    image: Shape,
    operators: Sequence[Operator],
    same_order: Callable[[Shape, Shape], bool],
    pools: Callable[[Operator, ops.MaxPool], bool],
) -> tuple[tuple[PlannedCall, ...], dict[str, Shape], dict[str, str]]:
    """Return the calls, the shapes of all values, and the value behind each view.

    ``same_order`` says whether values of two shapes lie in memory in the same order; ``pools``
    whether a convolution can take in the max pooling after it.

    Raises:
        UnsupportedOperatorError: a view would have to reorder values.
    """
    kept = [op for op in operators if not isinstance(op, ops.Softmax)]
    shapes = {IMAGE: image, **{op.output: op.shape for op in kept}}
    roots = _roots(kept, shapes, same_order)
    steps = _steps([op for op in kept if op.output not in roots], kept, pools)
    if LOGITS in roots:  # the value behind the view is written to the logits
        root_of_logits = roots.pop(LOGITS)
        roots = {n: LOGITS if root == root_of_logits else root for n, root in roots.items()}
        roots[root_of_logits] = LOGITS
    calls = (replace(step, output=roots.get(step.output, step.output)) for step in steps)
    return tuple(calls), shapes, roots


def _roots(
    kept: Sequence[Operator],
    shapes: Mapping[str, Shape],
    same_order: Callable[[Shape, Shape], bool],
) -> dict[str, str]:
    """Return the views that reorder nothing, each with the value that it is a view of."""
    roots: dict[str, str] = {}
    for op in kept:
        if isinstance(op, ops.View) and _keeps_order(op, kept, shapes, same_order):
            roots[op.output] = roots.get(op.source, op.source)
    return roots


def _keeps_order(
    op: Operator,
    kept: Sequence[Operator],
    shapes: Mapping[str, Shape],
    same_order: Callable[[Shape, Shape], bool],
) -> bool:
    before, after = shapes[op.source], op.shape
    if before == after or same_order(before, after):
        return True
    users = [user for user in kept if op.output in user.sources]
    if isinstance(op, ops.Flatten) and users and all(isinstance(u, MATRICES) for u in users):
        return True  # the order of their columns is changed instead
    if isinstance(op, ops.Flatten):
        return False
    raise UnsupportedOperatorError(
        f"The target C lacks the operator Reshape from {before} to {after}, which reorders values. "
        "Export it to onnx."
    )


def _same_order(*shapes: Shape) -> bool:
    """Return whether channels first and channels last are the same order, for all ``shapes``."""
    return all(shape[0] == prod(shape) or shape[0] == 1 for shape in shapes)


def _is_convolution(op: Operator, _: ops.MaxPool) -> bool:
    return isinstance(op, ops.Conv2d)


def _steps(
    moving: Sequence[Operator],
    kept: Sequence[Operator],
    pools: Callable[[Operator, ops.MaxPool], bool],
) -> list[PlannedCall]:
    """Return the calls, with a convolution and the max pooling after it as one."""
    steps: list[PlannedCall] = []
    for op in moving:
        last = steps[-1] if steps else None
        if (
            isinstance(op, ops.MaxPool)
            and last is not None
            and pools(last.op, op)
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
    """Return the buffer of a source that a step may overwrite because nothing else needs it."""
    if not isinstance(step.op, IN_PLACE):
        return None
    first, *others = step.op.sources
    for source in [first, *others] if isinstance(step.op, ops.Add) else [first]:
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
    """Return which outputs may overlap their inputs, and their minimum distances."""
    distances = {}
    for number, step in enumerate(steps):
        source = roots.get(step.op.source, step.op.source)
        if not isinstance(step.op, WINDOWS) or source not in buffers or step.output == LOGITS:
            continue
        if lifetimes[buffers[source]].last == number:
            output, shape = buffers[step.output], shapes[step.op.source]
            distances[output, buffers[source]] = _distance(step, shape)
    return distances


def _distance(step: PlannedCall, shape: Shape) -> int:
    """Return how many elements the output must be ahead, so that it overwrites no needed row."""
    channels, height, width = shape
    outputs, rows, columns = step.shape
    top = getattr(step.op, "padding", (0,))[0]
    stride: Pair = getattr(step.op, "stride", (1, 1))  # a global mean has one window
    down = stride[0] * step.pool[0]
    needed = (min(max(row * down - top, 0), height) for row in range(rows))
    return max(
        (row + 1) * columns * outputs - first * width * channels for row, first in enumerate(needed)
    )
