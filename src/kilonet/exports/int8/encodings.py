"""Encodings: the scale, zero point and channel divisors of each value, from calibration data.

Channel divisors give channels of small values finer steps than those of large values. They cost
nothing where weights absorb them: the weights that read a value and, without an activation, those
that produce it. Sums, means and views scale all channels alike, so values that they connect share
their divisors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.operators import IMAGE, Graph, Operator
from kilonet.exports.int8.operators import Encoding
from kilonet.recipe.layer_spec import ORIENTATIONS

LEVELS = 255
SAMPLE = 50_000
"""The search for a range looks at so many values; more do not change the result."""

HEADROOM = 4
"""The int16 range of logits, relative to the largest logit of the calibration."""

MAX_DIVISOR, MIN_DIVISOR = 255, 10
"""Divisors are bytes. Steps with a larger ratio than this would only coarsen the weights."""

UNIFORM = ops.MaxPool | ops.AvgPool | ops.GlobalAvgPool | ops.ReLU | ops.View
"""Operators that scale all channels alike."""
SCALABLE = ops.Conv2d | ops.Linear | ops.Add | ops.AvgPool | ops.GlobalAvgPool | ops.Pointwise
"""Operators whose output can have divisors."""


def choose_encoding(values: npt.NDArray[Any], divisors: tuple[int, ...] = ()) -> Encoding:
    """Return the byte encoding of ``values`` with the smallest mean squared error.

    With ``divisors`` the values are (N, C, …), and errors are relative to their channels' steps.
    Clipping a few large values can leave finer steps for the others: the search tries smaller upper
    ends first, then lower ends. 0 is always exact, for zero padding.
    """
    if divisors:
        factor = np.array(divisors, np.float32).reshape(-1, *(1,) * (values.ndim - 2))
        return replace(choose_encoding(values * factor), divisors=divisors)
    flat = subsample(values, SAMPLE).astype(np.float64)
    low, high = min(float(flat.min()), 0.0), max(float(flat.max()), 0.0)
    if high - low <= 0:
        return Encoding(1.0, 0)
    candidates = [_encoding(low, high * share) for share in np.linspace(1, 0.4, 25)]
    best = min(candidates, key=lambda encoding: _loss(flat, encoding))
    high = best.scale * (LEVELS - best.zero_point)
    candidates = [best, *(_encoding(low * share, high) for share in np.linspace(1, 0.4, 13))]
    return min(candidates, key=lambda encoding: _loss(flat, encoding))


def subsample(values: npt.NDArray[Any], count: int) -> npt.NDArray[Any]:
    """Return at most ``count`` of the values, chosen at random with a fixed seed.

    Every k-th value would be the same column of a feature map if its width divides k.
    """
    flat = values.ravel()
    if flat.size <= count:
        return flat
    return flat[np.random.default_rng(0).integers(0, flat.size, count)]


def _encoding(low: float, high: float) -> Encoding:
    scale = max(high - low, 1e-9) / LEVELS
    return Encoding(scale, int(np.clip(round(-low / scale), 0, LEVELS)))


def _loss(values: npt.NDArray[np.float64], encoding: Encoding) -> float:
    return float(np.square(values - decode(encode(values, encoding), encoding)).mean())


def encode(values: Any, encoding: Encoding) -> Any:
    """Return the bytes nearest to real ``values``."""
    steps = step_sizes(encoding, values.ndim)
    return np.clip(np.rint(values / steps) + encoding.zero_point, 0, LEVELS).astype(np.uint8)


def decode(stored: Any, encoding: Encoding) -> Any:
    """Return the real numbers that ``stored`` integers represent."""
    steps = step_sizes(encoding, stored.ndim)
    return steps * (stored.astype(np.float64) - encoding.zero_point) + encoding.residual


def step_sizes(encoding: Encoding, ndim: int = 2) -> Any:
    """Return the real size of a step: one number, or one per channel of values (N, C, …)."""
    if not encoding.divisors:
        return encoding.scale
    return (encoding.scale / np.array(encoding.divisors)).reshape(-1, *(1,) * (ndim - 2))


def logit_encoding(values: npt.NDArray[Any]) -> Encoding:
    """Return the int16 encoding of logits."""
    largest = max(float(np.abs(values).max()), 1e-6)
    return Encoding(HEADROOM * largest / 32767, 0, is_int16=True)


def channel_divisors(
    graph: Graph,
    real: Mapping[str, npt.NDArray[Any]],
    outputs: Mapping[str, str],
    undivided: Set[str],
    orientation_channels: Set[str] = frozenset(),
) -> dict[str, tuple[int, ...]]:
    """Return the divisors (C,) of each value that has them, from the ``real`` calibration values.

    ``outputs`` maps an operator's output to that of the activation fused with it; other outputs
    stand for themselves. ``undivided`` values get no divisors. In values with
    ``orientation_channels`` each four channels in a row share a divisor.
    """
    groups = _Groups()
    excluded = {IMAGE, *undivided}
    for op in graph.operators:
        output = outputs.get(op.output, op.output)
        excluded.update(_excluded(graph, op, output))
        if _is_uniform(graph, op, output):
            for source in op.sources:
                groups.join(source, output)
    without = {groups.root(value) for value in excluded}
    with_orientations = {groups.root(value) for value in orientation_channels}
    members: dict[str, list[str]] = {}
    for op in graph.operators:
        output = outputs.get(op.output, op.output)
        if isinstance(op, SCALABLE) and groups.root(output) not in without:
            members.setdefault(groups.root(output), []).append(output)
    divisors: dict[str, tuple[int, ...]] = {}
    for root, values in members.items():
        sharing = ORIENTATIONS if root in with_orientations else 1
        shared = _shared_divisors([real[value] for value in values], sharing)
        divisors |= dict.fromkeys(values, shared)
    return divisors


class _Groups:
    """A union-find of values that share their divisors."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def root(self, value: str) -> str:
        """Return the representative of the group of ``value``."""
        while value in self._parent:
            value = self._parent[value]
        return value

    def join(self, one: str, other: str) -> None:
        """Merge the groups of two values."""
        if self.root(one) != self.root(other):
            self._parent[self.root(one)] = self.root(other)


def _is_uniform(graph: Graph, op: Operator, output: str) -> bool:
    """Return whether ``op`` scales all channels alike, so that its sources share its divisors."""
    if isinstance(op, ops.Add):
        return not _has_activation(graph, op, output)
    return isinstance(op, UNIFORM) and not _changes_channels(graph, op)


def _excluded(graph: Graph, op: Operator, output: str) -> Iterator[str]:
    """Yield the values of ``op`` that need one scale for all channels."""
    if isinstance(op, ops.InputScaling | ops.Softmax | ops.Mul | ops.Concat):
        yield from (*op.sources, op.output)
    if isinstance(op, ops.Add) and _has_activation(graph, op, output):
        yield from op.sources
    if isinstance(op, ops.View) and _changes_channels(graph, op):
        readers = graph.users(op.output)
        if isinstance(op, ops.Reshape) or not all(isinstance(r, ops.Linear) for r in readers):
            yield from (op.source, op.output)


def _has_activation(graph: Graph, op: Operator, output: str) -> bool:
    """Return whether an activation other than ReLU is fused with ``op``."""
    last = next(other for other in graph.operators if other.output == output)
    return last is not op and not isinstance(last, ops.ReLU)


def _changes_channels(graph: Graph, op: Operator) -> bool:
    """Return whether ``op`` is a view with a different number of channels than its source."""
    return isinstance(op, ops.View) and graph.shape(op.source)[0] != op.shape[0]


def _shared_divisors(values: list[npt.NDArray[Any]], sharing: int) -> tuple[int, ...]:
    """Return divisors for all ``values`` (N, C, …): the geometric mean of what each needs.

    Each ``sharing`` channels in a row get the same divisor. A channel's step is proportional to the
    square root of its range. Steps proportional to the range give too much weight to channels of
    small values that nothing amplifies; equal steps give too little. Either is best for some
    networks, and the square root is close to the best for all.
    """
    logs = np.mean([np.log(_relative_ranges(value)) for value in values], axis=0)
    logs = logs.reshape(-1, sharing).mean(1).repeat(sharing)
    steps = np.exp(logs / 2)
    whole = np.rint(MAX_DIVISOR * steps.min() / steps)
    return tuple(int(divisor) for divisor in np.maximum(whole, MIN_DIVISOR))


def _relative_ranges(value: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the range of each channel relative to the widest."""
    count = value.shape[1]
    channels = (subsample(value[:, channel], SAMPLE // count) for channel in range(count))
    ranges = np.array([choose_encoding(x).scale if x.any() else 0.0 for x in channels])
    smallest = max(float(ranges.max()), 1e-9) * MIN_DIVISOR / MAX_DIVISOR
    return np.asarray(np.maximum(ranges, smallest) / max(float(ranges.max()), 1e-9))
