"""The integer network in plain NumPy: what the emitted C must match to the bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.arithmetic import convolution, largest, summed
from kilonet.exports.graph.interpret import Pixels
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
    """Return every value's stored numbers, by name, for ``images`` uint8 (N, C, H, W).

    Each is uint8 (N, *shape), the logits int16.
    """
    values: dict[str, Any] = {IMAGE: images}
    for op in graph.operators:
        values[op.output] = compute(op, *(values[source] for source in op.sources))
    return values


def compute(op: Operator, *sources: Any) -> Any:
    """Return the stored numbers that one operator makes of its sources'."""
    return RULES[type(op)](op, *sources)


def sums(op: QConv2d | QLinear, x: Any) -> Any:
    """Return the int64 sums of a layer, before any scaling: what 32 bits hold on the target."""
    centred, weight = x.astype(np.float64) - op.zero, op.weights.weight.astype(np.float64)
    if isinstance(op, QLinear):
        return (centred @ weight.T).astype(np.int64)
    return convolution(centred, weight, op.stride, op.padding, op.groups).astype(np.int64)


def rounded(product: Any, shift: int) -> Any:
    """Return ``product`` / 2^shift, halves rounded up."""
    return (product + (1 << (shift - 1))) >> shift


def sigmoid(v: Any) -> Any:
    """Return the sigmoid, in 1/ONE, of v in 2^−FRACTION_BITS, interpolated in the table."""
    size, step = np.abs(v), 1 << TABLE_STEP
    index = np.minimum(size >> TABLE_STEP, len(SIGMOID) - 2)
    part = np.minimum(size - index * step, step)
    table = SIGMOID.astype(np.int64)
    gate = table[index] + rounded((table[index + 1] - table[index]) * part, TABLE_STEP)
    return np.where(v < 0, ONE - gate, gate)


def requantise(v: Any, requantisation: Requantisation) -> Any:
    """Return the stored numbers that v ends as."""
    if requantisation.curve != "line":
        multiplier = requantisation.multiplier * by_channel(requantisation.parts or (1,), v.ndim)
        v = rounded(
            _curved(np.clip(v, -32768, 32767), requantisation) * multiplier, requantisation.shift
        )
    kind = np.int16 if requantisation.wide else np.uint8
    return np.clip(v + requantisation.zero, requantisation.low, requantisation.high).astype(kind)


def by_channel(numbers: Any, ndim: int) -> Any:
    """Return numbers, one or one for each channel, as int64 that meet values (N, C, …)."""
    return np.asarray(numbers, np.int64).reshape(1, -1, *(1,) * (ndim - 2))


def _curved(v: Any, requantisation: Requantisation) -> Any:
    if requantisation.curve == "sigmoid":
        return sigmoid(v) << FRACTION_BITS
    if requantisation.curve == "silu":
        return v * sigmoid(v)
    return v * np.where(v < 0, requantisation.slope, ONE)


def _scaled(total: Any, weights: QuantisedWeights) -> Any:
    multiplier = by_channel(weights.multiplier, total.ndim)
    offset = by_channel(weights.offset, total.ndim) << weights.lift
    return rounded(total * multiplier + offset, weights.shift)


def _layer(op: QConv2d | QLinear, x: Any) -> Any:
    return requantise(_scaled(sums(op, x), op.weights), op.requantisation)


def _sum(op: QSum, x: Any, y: Any) -> Any:
    total = sum(_centred(q, op.zeros[i]) * op.multipliers[i] for i, q in enumerate((x, y)))
    return requantise(rounded(total, op.shift), op.requantisation)


def _product(op: QProduct, x: Any, y: Any) -> Any:
    product = _centred(x, op.zeros[0]) * _centred(y, op.zeros[1]) * op.multiplier
    return requantise(rounded(product, op.shift), op.requantisation)


def _mean(op: QMean, x: Any) -> Any:
    total = summed(_centred(x, op.zero), op.kernel, op.stride)
    return requantise(rounded(total * op.multiplier, op.shift), op.requantisation)


def _activation(op: QActivation, x: Any) -> Any:
    product = _centred(x, op.zero) * by_channel(op.multipliers, x.ndim)
    return requantise(rounded(product, op.shift), op.requantisation)


def _concat(op: QConcat, *parts: Any) -> Any:
    scaled = [_centred(q, op.zeros[i]) * op.multipliers[i] for i, q in enumerate(parts)]
    return requantise(rounded(np.concatenate(scaled, axis=1), op.shift), op.requantisation)


def _centred(q: Any, zero: int) -> Any:
    return q.astype(np.int64) - zero


RULES: Mapping[type[Operator], Callable[..., Any]] = {
    QConv2d: _layer,
    QLinear: _layer,
    QSum: _sum,
    QProduct: _product,
    QMean: _mean,
    QActivation: _activation,
    QConcat: _concat,
    ops.MaxPool: lambda op, x: largest(x, op.kernel, op.stride, op.padding),
    ops.Flatten: lambda op, x: x.reshape(len(x), *op.shape),
    ops.Reshape: lambda op, x: x.reshape(len(x), *op.shape),
}
