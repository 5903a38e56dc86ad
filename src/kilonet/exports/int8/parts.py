"""Each channel's part of a value's scale: quiet channels get finer steps than loud ones.

Weights take in the steps of what they read (and, before a line, of what they make) for nothing.
Sums, means and views scale all channels alike, so what they join has its parts in common.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Any

import numpy as np
import numpy.typing as npt

from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.operators import IMAGE, Graph, Operator
from kilonet.exports.int8.fixed import SAMPLE, encoding_of, sampled
from kilonet.recipe.layer_spec import ORIENTATIONS

MOST, LEAST = 255, 10
"""Parts are bytes. Steps that differ by more than this ratio would only coarsen the weights."""

ALIKE = ops.MaxPool | ops.AvgPool | ops.GlobalAvgPool | ops.ReLU | ops.View
LINES = ops.Conv2d | ops.Linear | ops.Add | ops.AvgPool | ops.GlobalAvgPool | ops.Pointwise


def parts_of(
    graph: Graph,
    real: Mapping[str, npt.NDArray[Any]],
    ends: Mapping[str, str],
    plain: set[str],
    fours: Set[str] = frozenset(),
) -> dict[str, tuple[int, ...]]:
    """Return the parts of each value that has them, (C,) each, from what it is in ``real``.

    ``ends`` names the value that each operator's output ends as, its own or that of the activation
    that joins it; ``plain`` are values that must not have parts. Of the ``fours`` four channels in
    turn have one part.
    """
    groups = _Groups()
    barred = {IMAGE, *plain}
    for op in graph.operators:
        output = ends.get(op.output, op.output)
        barred.update(_barred(graph, op, output))
        if _alike(graph, op, output):
            for source in op.sources:
                groups.join(source, output)
    without = {groups.root(value) for value in barred}
    by_orientation = {groups.root(value) for value in fours}
    members: dict[str, list[str]] = {}
    for op in graph.operators:
        output = ends.get(op.output, op.output)
        if isinstance(op, LINES) and groups.root(output) not in without:
            members.setdefault(groups.root(output), []).append(output)
    return {
        value: parts
        for root, values in members.items()
        for parts in [
            _common(
                [real[value] for value in values], ORIENTATIONS if root in by_orientation else 1
            )
        ]
        for value in values
    }


class _Groups:
    """Values whose channels have the same parts."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def root(self, value: str) -> str:
        """Return the value that stands for the group of ``value``."""
        while value in self._above:
            value = self._above[value]
        return value

    def join(self, one: str, other: str) -> None:
        """Make one group of two."""
        if self.root(one) != self.root(other):
            self._above[self.root(one)] = self.root(other)


def _alike(graph: Graph, op: Operator, output: str) -> bool:
    """Say whether ``op`` scales all channels alike, hence hands on its sources' parts."""
    if isinstance(op, ops.Add):
        return not _curved(graph, op, output)
    return isinstance(op, ALIKE) and not _spreads(graph, op)


def _barred(graph: Graph, op: Operator, output: str) -> Iterator[str]:
    """Yield the values around ``op`` that one multiplier stands for."""
    if isinstance(op, ops.InputScaling | ops.Softmax | ops.Mul | ops.Concat):
        yield from (*op.sources, op.output)
    if isinstance(op, ops.Add) and _curved(graph, op, output):
        yield from op.sources
    if isinstance(op, ops.View) and _spreads(graph, op):
        readers = graph.users(op.output)
        if isinstance(op, ops.Reshape) or not all(isinstance(r, ops.Linear) for r in readers):
            yield from (op.source, op.output)


def _curved(graph: Graph, op: Operator, output: str) -> bool:
    last = next(other for other in graph.operators if other.output == output)
    return last is not op and not isinstance(last, ops.ReLU)


def _spreads(graph: Graph, op: Operator) -> bool:
    """Say whether a view's channels are other values than its source's."""
    return isinstance(op, ops.View) and graph.shape(op.source)[0] != op.shape[0]


def _common(values: list[npt.NDArray[Any]], alike: int) -> tuple[int, ...]:
    """Return the parts that suit all ``values`` (N, C, …): the geometric mean of what each needs.

    So many channels in turn as are ``alike`` have the same part.

    The square root of that is between steps in proportion to the range, which make much of quiet
    channels that nothing amplifies, and equal ones: some networks lose least by the one, some by
    the other, and none much by the root.
    """
    logs = np.mean([np.log(_spans(value)) for value in values], axis=0)
    logs = logs.reshape(-1, alike).mean(1).repeat(alike)
    steps = np.exp(logs / 2)
    whole = np.rint(MOST * steps.min() / steps)
    return tuple(int(part) for part in np.maximum(whole, LEAST))


def _spans(value: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return how wide each channel's range is, relative to the widest."""
    count = value.shape[1]
    channels = (sampled(value[:, channel], SAMPLE // count) for channel in range(count))
    found = np.array([encoding_of(x).scale if x.any() else 0.0 for x in channels])
    least = max(float(found.max()), 1e-9) * LEAST / MOST
    return np.asarray(np.maximum(found, least) / max(float(found.max()), 1e-9))
