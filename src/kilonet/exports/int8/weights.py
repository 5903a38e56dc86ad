"""Quantisation of weights and biases: int8 weights with integer multipliers and offsets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from kilonet.exports.graph.p4 import P4Filters, align_orientations, rotate_orientations
from kilonet.exports.int8.operators import QuantisedWeights
from kilonet.recipe.layer_spec import ORIENTATIONS

MAX_MULTIPLIER = 65535
SHARES = np.geomspace(1, 0.02, 40)
"""The multipliers to try, relative to the one that clips no weight."""

MAX_BYTE, MAX_SIGNED_BYTE = 255, 127


@dataclass(frozen=True, eq=False)
class WeightFormat:
    """Constraints on a layer's integers.

    With ``byte_scales`` multipliers and offsets are bytes times a number that the layer's channels
    share. ``p4`` filters with positive factors have the same integers, rotated.
    """

    byte_scales: bool = False
    p4: P4Filters | None = None


UNCONSTRAINED = WeightFormat()


def fixed_point(ratios: list[float], bits: int = 15) -> tuple[tuple[int, ...], int]:
    """Return integers and a shift such that each ratio is about integer · 2^−shift.

    The largest integer has ``bits`` bits. The shift is at least 1 because rounding needs that.
    """
    shift = max(1, bits - int(np.ceil(np.log2(max(ratios)))) - 1)
    return tuple(round(ratio * 2**shift) for ratio in ratios), shift


def quantise_weights(
    weight: npt.NDArray[Any],
    bias: npt.NDArray[np.float64],
    scale: float | npt.NDArray[np.float64],
    unit: float | npt.NDArray[np.float64],
    squares: npt.NDArray[np.float64],
    form: WeightFormat = UNCONSTRAINED,
) -> QuantisedWeights:
    """Return int8 weights whose scaled sums over inputs of ``scale`` are multiples of ``unit``.

    ``scale`` is the scale of each weight's input: one number, or an array with the shape of
    ``weight``. ``unit`` is one number or one per output channel. A channel's weights, times their
    scales, are multiples of multiplier · 2^−shift · unit, with the multiplier of least loss.
    ``squares``, the mean square of each weight's input in the shape of ``weight``, weighs the
    errors. Otherwise a large weight of an input that is always near 0, which batch norm can cause,
    would coarsen all others. The factors of ``form.p4`` go into the multipliers.
    """
    real = np.broadcast_to(weight.astype(np.float64) * scale, weight.shape)
    floor = 1e-6 * squares.mean() + 1e-12
    counts = np.broadcast_to((squares + floor) / np.square(scale), weight.shape)
    rows, counts = _grouped(real, form), _grouped(counts, form)
    units = np.broadcast_to(unit, len(weight)).reshape(rows.shape[:2])
    peaks = np.maximum(np.abs(rows).max(2), 1e-12) / 127 / units
    shift = int(np.clip(np.floor(np.log2(MAX_MULTIPLIER / peaks.max())), 1, 46))
    steps = units * 2.0**-shift
    wanted = peaks * 2.0**shift
    grain = int(np.ceil(wanted.max() / MAX_BYTE)) if form.byte_scales else 1
    best = _best(rows, counts, steps, [_multipliers(wanted * share, grain) for share in SHARES])
    integers = np.repeat(_integers(rows, best, steps), rows.shape[1], axis=1).astype(np.int8)
    offset_shift, offset = _quantise_offsets(bias / unit * 2.0**shift, form)
    return QuantisedWeights(
        weight=_ungrouped(integers, weight.shape, form),
        multiplier=best.ravel().astype(np.uint16),
        offset=offset,
        offset_shift=offset_shift,
        shift=shift,
    )


def with_bias(
    weights: QuantisedWeights,
    bias: npt.NDArray[np.float64],
    unit: float | npt.NDArray[np.float64],
    form: WeightFormat = UNCONSTRAINED,
) -> QuantisedWeights:
    """Return ``weights`` with another bias."""
    offset_shift, offset = _quantise_offsets(bias / unit * 2.0**weights.shift, form)
    return replace(weights, offset_shift=offset_shift, offset=offset)


def _grouped(weight: npt.NDArray[Any], form: WeightFormat) -> npt.NDArray[Any]:
    """Return weights as (groups, filters, weights); the filters of a group share integers."""
    if form.p4 is None:
        return weight.reshape(len(weight), 1, -1)
    aligned = align_orientations(weight, regular=form.p4.regular)
    return aligned.reshape(*aligned.shape[:2], -1)


def _ungrouped(
    integers: npt.NDArray[Any], shape: tuple[int, ...], form: WeightFormat
) -> npt.NDArray[Any]:
    """Return the inverse of ``_grouped``, in the shape of the weights."""
    if form.p4 is None:
        return integers.reshape(shape)
    aligned = integers.reshape(-1, ORIENTATIONS, *shape[1:])
    return rotate_orientations(aligned, regular=form.p4.regular)


def _best(rows: Any, counts: Any, steps: Any, candidates: list[Any]) -> Any:
    """Return, for each group, the candidate multipliers with the smallest loss."""
    best, best_loss = candidates[0], np.full(len(rows), np.inf)
    for candidate in candidates:
        multiples = _integers(rows, candidate, steps) * (candidate * steps)[:, :, None]
        loss = (counts * np.square(rows - multiples)).sum((1, 2))
        best = np.where((loss < best_loss)[:, None], candidate, best)
        best_loss = np.minimum(loss, best_loss)
    return best


def _multipliers(wanted: npt.NDArray[np.float64], grain: int) -> Any:
    """Return multiples of ``grain`` in the proportions of ``wanted`` (groups, filters)."""
    maximum = MAX_MULTIPLIER // grain
    largest = wanted.max(1, keepdims=True)
    first = np.clip(np.ceil(largest / grain), 1, maximum)
    return np.clip(np.rint(first * (wanted / largest)), 1, maximum) * grain


def _integers(rows: Any, multipliers: Any, steps: Any) -> Any:
    """Return the integers (groups, 1, weights) of each group's filter of largest multiplier."""
    largest = np.arange(len(rows)), multipliers.argmax(1)
    first = rows[largest] / (multipliers * steps)[largest][:, None]
    return np.clip(np.rint(first), -127, 127)[:, None]


def _quantise_offsets(
    offsets: npt.NDArray[np.float64], form: WeightFormat
) -> tuple[int, npt.NDArray[np.int16]]:
    """Return the smallest shift with which ``offsets`` fit into int16, and the shifted offsets."""
    largest = max(float(np.abs(offsets).max()), 1.0)
    shift = max(0, int(np.ceil(np.log2(largest / 32766))))
    grain = int(np.ceil(largest / 2.0**shift / MAX_SIGNED_BYTE)) if form.byte_scales else 1
    return shift, (np.rint(offsets / 2.0**shift / grain) * grain).astype(np.int16)
