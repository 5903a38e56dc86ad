"""A reference interpreter of the integer network in NumPy; the emitted C matches it to the bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.interpret import Pixels, convolution, max_pool, sum_pool
from kilonet.exports.graph.operators import IMAGE, Operator
from kilonet.exports.int8.operators import (
    FRACTION_BITS,
    ONE,
    SIGMOID,
    TABLE_STEP,
    QActivation,
    QConcat,
    QConv2d,
    QLinear,
    QMean,
    QProduct,
    QSum,
    QuantisedGraph,
    QuantisedWeights,
    Requantisation,
)


def interpret_int8(graph: QuantisedGraph, images: Pixels) -> dict[str, Any]:
    """Return the integers of every value, by name, for ``images`` uint8 (N, C, H, W).

    Each is uint8 (N, *shape), the logits int16.
    """
    values: dict[str, Any] = {IMAGE: images}
    for op in graph.operators:
        values[op.output] = compute(op, *(values[source] for source in op.sources))
    return values


def compute(op: Operator, *sources: Any) -> Any:
    """Return the integers that one operator computes from those of its sources."""
    return COMPUTE[type(op)](op, *sources)


def sums(op: QConv2d | QLinear, x: Any) -> Any:
    """Return a layer's int64 sums before scaling; they fit into int32 on the target."""
    centred, weight = x.astype(np.float64) - op.zero_point, op.weights.weight.astype(np.float64)
    if isinstance(op, QLinear):
        return (centred @ weight.T).astype(np.int64)
    return convolution(centred, weight, op.stride, op.padding, op.groups).astype(np.int64)


def rounded(product: Any, shift: int) -> Any:
    """Return ``product`` / 2^shift, rounding half up."""
    return (product + (1 << (shift - 1))) >> shift


def sigmoid(v: Any) -> Any:
    """Return the sigmoid in 1/ONE of v in 2^−FRACTION_BITS, interpolated in the table."""
    size, step = np.abs(v), 1 << TABLE_STEP
    index = np.minimum(size >> TABLE_STEP, len(SIGMOID) - 2)
    rest = np.minimum(size - index * step, step)
    table = SIGMOID.astype(np.int64)
    gate = table[index] + rounded((table[index + 1] - table[index]) * rest, TABLE_STEP)
    return np.where(v < 0, ONE - gate, gate)


def requantise(v: Any, to: Requantisation) -> Any:
    """Return the stored integers for v, uint8 or int16."""
    if to.activation != "none":
        multiplier = to.multiplier * by_channel(to.divisors or (1,), v.ndim)
        v = rounded(_activate(np.clip(v, -32768, 32767), to) * multiplier, to.shift)
    kind = np.int16 if to.is_int16 else np.uint8
    return np.clip(v + to.zero_point, to.low, to.high).astype(kind)


def by_channel(numbers: Any, ndim: int) -> Any:
    """Return numbers, one or one per channel, as int64 that broadcast to values (N, C, …)."""
    return np.asarray(numbers, np.int64).reshape(1, -1, *(1,) * (ndim - 2))


def _activate(v: Any, to: Requantisation) -> Any:
    if to.activation == "sigmoid":
        return sigmoid(v) << FRACTION_BITS
    if to.activation == "silu":
        return v * sigmoid(v)
    return v * np.where(v < 0, to.slope, ONE)


def _scaled(total: Any, weights: QuantisedWeights) -> Any:
    multiplier = by_channel(weights.multiplier, total.ndim)
    offset = by_channel(weights.offset, total.ndim) << weights.offset_shift
    return rounded(total * multiplier + offset, weights.shift)


def _layer(op: QConv2d | QLinear, x: Any) -> Any:
    return requantise(_scaled(sums(op, x), op.weights), op.requantisation)


def _sum(op: QSum, x: Any, y: Any) -> Any:
    total = sum(_centred(q, op.zero_points[i]) * op.multipliers[i] for i, q in enumerate((x, y)))
    return requantise(rounded(total, op.shift), op.requantisation)


def _product(op: QProduct, x: Any, y: Any) -> Any:
    product = _centred(x, op.zero_points[0]) * _centred(y, op.zero_points[1]) * op.multiplier
    return requantise(rounded(product, op.shift), op.requantisation)


def _mean(op: QMean, x: Any) -> Any:
    total = sum_pool(_centred(x, op.zero_point), op.kernel, op.stride)
    return requantise(rounded(total * op.multiplier, op.shift), op.requantisation)


def _activation(op: QActivation, x: Any) -> Any:
    product = _centred(x, op.zero_point) * by_channel(op.multipliers, x.ndim)
    return requantise(rounded(product, op.shift), op.requantisation)


def _concat(op: QConcat, *sources: Any) -> Any:
    scaled = [_centred(q, op.zero_points[i]) * op.multipliers[i] for i, q in enumerate(sources)]
    return requantise(rounded(np.concatenate(scaled, axis=1), op.shift), op.requantisation)


def _centred(q: Any, zero_point: int) -> Any:
    return q.astype(np.int64) - zero_point


COMPUTE: Mapping[type[Operator], Callable[..., Any]] = {
    QConv2d: _layer,
    QLinear: _layer,
    QSum: _sum,
    QProduct: _product,
    QMean: _mean,
    QActivation: _activation,
    QConcat: _concat,
    ops.MaxPool: lambda op, x: max_pool(x, op.kernel, op.stride, op.padding),
    ops.Flatten: lambda op, x: x.reshape(len(x), *op.shape),
    ops.Reshape: lambda op, x: x.reshape(len(x), *op.shape),
}
