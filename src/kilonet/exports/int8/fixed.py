"""Real numbers as integers: encodings of values, scales of weights, factors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from kilonet.exports.graph.p4 import P4Filters, align_orientations, rotate_orientations
from kilonet.exports.int8.operators import Encoding, QuantisedWeights
from kilonet.recipe.layer_spec import ORIENTATIONS

LEVELS = 255
SAMPLE = 50_000
"""Values of one kind that the search for a range looks at; more do not change it."""

HEADROOM = 4
"""How much larger than any calibrated logit an int16 one may become."""


@dataclass(frozen=True, eq=False)
class WeightFormat:
    """How a layer's integers are to be.

    In a ``narrow`` one multipliers and offsets are bytes times a number that all of them share.
    Filters that are ``turned`` copies of one another, but for positive factors, have the same
    integers, p4.
    """

    narrow: bool = False
    p4: P4Filters | None = None


WIDE = WeightFormat()

MULTIPLIER = 65535
PARTS = np.geomspace(1, 0.02, 40)
"""Of the multiplier that cuts no weight off: which ones are tried."""

BYTE, SIGNED_BYTE = 255, 127


def encoding_of(values: npt.NDArray[Any], parts: tuple[int, ...] = ()) -> Encoding:
    """Return the encoding in bytes that ``values`` lose least by, in the mean of squares.

    With ``parts`` the values are (N, C, …), and errors count by the steps of their channels.
    Cutting off a few large ones can leave finer steps for the rest: the upper end is tried first,
    then the lower one. 0 is always exact, for the zeros around a map.
    """
    if parts:
        factor = np.array(parts, np.float32).reshape(-1, *(1,) * (values.ndim - 2))
        return replace(encoding_of(values * factor), parts=parts)
    flat = sampled(values, SAMPLE).astype(np.float64)
    low, high = min(float(flat.min()), 0.0), max(float(flat.max()), 0.0)
    if high - low <= 0:
        return Encoding(1.0, 0)
    tried = [_encoding(low, high * part) for part in np.linspace(1, 0.4, 25)]
    best = min(tried, key=lambda encoding: _loss(flat, encoding))
    high = best.scale * (LEVELS - best.zero)
    tried = [best, *(_encoding(low * part, high) for part in np.linspace(1, 0.4, 13))]
    return min(tried, key=lambda encoding: _loss(flat, encoding))


def sampled(values: npt.NDArray[Any], count: int) -> npt.NDArray[Any]:
    """Return at most ``count`` of the values, drawn.

    Every k-th would be one and the same column of a map where its width divides k.
    """
    flat = values.ravel()
    if flat.size <= count:
        return flat
    return flat[np.random.default_rng(0).integers(0, flat.size, count)]


def _encoding(low: float, high: float) -> Encoding:
    scale = max(high - low, 1e-9) / LEVELS
    return Encoding(scale, int(np.clip(round(-low / scale), 0, LEVELS)))


def _loss(values: npt.NDArray[np.float64], encoding: Encoding) -> float:
    return float(np.square(values - decoded(encoded(values, encoding), encoding)).mean())


def encoded(values: Any, encoding: Encoding) -> Any:
    """Return the bytes nearest to real ``values``."""
    steps = steps_of(encoding, values.ndim)
    return np.clip(np.rint(values / steps) + encoding.zero, 0, LEVELS).astype(np.uint8)


def decoded(stored: Any, encoding: Encoding) -> Any:
    """Return the real numbers that stored ones stand for."""
    steps = steps_of(encoding, stored.ndim)
    return steps * (stored.astype(np.float64) - encoding.zero) + encoding.residual


def steps_of(encoding: Encoding, ndim: int = 2) -> Any:
    """Return what a step stands for: one number, or one for each channel of values (N, C, …)."""
    if not encoding.parts:
        return encoding.scale
    return (encoding.scale / np.array(encoding.parts)).reshape(-1, *(1,) * (ndim - 2))


def wide_encoding(values: npt.NDArray[Any]) -> Encoding:
    """Return the int16 encoding of logits."""
    largest = max(float(np.abs(values).max()), 1e-6)
    return Encoding(HEADROOM * largest / 32767, 0, wide=True)


def factors(ratios: list[float], bits: int = 15) -> tuple[tuple[int, ...], int]:
    """Return integers and one shift such that each ratio is about integer · 2^−shift.

    The largest integer has ``bits`` bits; the shift is at least 1, as rounding needs.
    """
    shift = max(1, bits - int(np.ceil(np.log2(max(ratios)))) - 1)
    return tuple(round(ratio * 2**shift) for ratio in ratios), shift


def quantised(
    weight: npt.NDArray[Any],
    bias: npt.NDArray[np.float64],
    scale: float | npt.NDArray[np.float64],
    unit: float | npt.NDArray[np.float64],
    squares: npt.NDArray[np.float64],
    form: WeightFormat = WIDE,
) -> QuantisedWeights:
    """Return int8 weights whose sums over inputs of ``scale`` become multiples of ``unit``.

    ``scale`` is that of each weight's input, one number or in the shape of ``weight``; ``unit`` one
    number or one for each output. A channel's weights, times their scales, are multiples of
    multiplier · 2^−shift · unit, with the multiplier of least loss: errors count by ``squares``
    (the shape of ``weight``), the mean square of the input that each weight is for. A large weight
    for an input that is always near 0, as batch norm can leave one, would otherwise coarsen all
    others. The factors of ``form.p4`` filters go into their multipliers.
    """
    real = np.broadcast_to(weight.astype(np.float64) * scale, weight.shape)
    floor = 1e-6 * squares.mean() + 1e-12
    counts = np.broadcast_to((squares + floor) / np.square(scale), weight.shape)
    rows, counts = _alike(real, form), _alike(counts, form)
    units = np.broadcast_to(unit, len(weight)).reshape(rows.shape[:2])
    peaks = np.maximum(np.abs(rows).max(2), 1e-12) / 127 / units
    shift = int(np.clip(np.floor(np.log2(MULTIPLIER / peaks.max())), 1, 46))
    steps = units * 2.0**-shift
    wanted = peaks * 2.0**shift
    grain = int(np.ceil(wanted.max() / BYTE)) if form.narrow else 1
    best = _best(rows, counts, steps, [_multipliers(wanted * part, grain) for part in PARTS])
    whole = np.repeat(_whole(rows, best, steps), rows.shape[1], axis=1).astype(np.int8)
    lift, offset = _lifted(bias / unit * 2.0**shift, form)
    return QuantisedWeights(
        weight=_unlike(whole, weight.shape, form),
        multiplier=best.ravel().astype(np.uint16),
        offset=offset,
        lift=lift,
        shift=shift,
    )


def _alike(weight: npt.NDArray[Any], form: WeightFormat) -> npt.NDArray[Any]:
    """Return weights as (sets, filters of a set, weights of a filter): a set has one's integers."""
    if form.p4 is None:
        return weight.reshape(len(weight), 1, -1)
    back = align_orientations(weight, regular=form.p4.regular)
    return back.reshape(*back.shape[:2], -1)


def _unlike(
    whole: npt.NDArray[Any], shape: tuple[int, ...], form: WeightFormat
) -> npt.NDArray[Any]:
    """Return what ``_alike`` takes apart, in the shape of the weights."""
    if form.p4 is None:
        return whole.reshape(shape)
    return rotate_orientations(whole.reshape(-1, ORIENTATIONS, *shape[1:]), regular=form.p4.regular)


def _best(rows: Any, counts: Any, steps: Any, candidates: list[Any]) -> Any:
    """Return, for each set, those of the multipliers that it loses least by."""
    best, loss = candidates[0], np.full(len(rows), np.inf)
    for tried in candidates:
        lost = (counts * np.square(rows - _multiples(rows, tried, steps))).sum((1, 2))
        best = np.where((lost < loss)[:, None], tried, best)
        loss = np.minimum(lost, loss)
    return best


def _multipliers(wanted: npt.NDArray[np.float64], grain: int) -> Any:
    """Return multiples of ``grain`` in the proportion of what is wanted, (sets, filters)."""
    most = MULTIPLIER // grain
    largest = wanted.max(1, keepdims=True)
    first = np.clip(np.ceil(largest / grain), 1, most)
    return np.clip(np.rint(first * (wanted / largest)), 1, most) * grain


def _whole(rows: Any, multipliers: Any, steps: Any) -> Any:
    """Return the integers (sets, 1, weights) of each set's filter of the largest multiplier."""
    sets = np.arange(len(rows)), multipliers.argmax(1)
    first = rows[sets] / (multipliers * steps)[sets][:, None]
    return np.clip(np.rint(first), -127, 127)[:, None]


def _multiples(rows: Any, multipliers: Any, steps: Any) -> Any:
    return _whole(rows, multipliers, steps) * (multipliers * steps)[:, :, None]


def _lifted(
    offsets: npt.NDArray[np.float64], form: WeightFormat
) -> tuple[int, npt.NDArray[np.int16]]:
    """Return the least shift that brings ``offsets`` into int16, and what they are then."""
    largest = max(float(np.abs(offsets).max()), 1.0)
    lift = max(0, int(np.ceil(np.log2(largest / 32766))))
    grain = int(np.ceil(largest / 2.0**lift / SIGNED_BYTE)) if form.narrow else 1
    return lift, (np.rint(offsets / 2.0**lift / grain) * grain).astype(np.int16)


def biased(
    weights: QuantisedWeights,
    bias: npt.NDArray[np.float64],
    unit: float | npt.NDArray[np.float64],
    form: WeightFormat = WIDE,
) -> QuantisedWeights:
    """Return ``weights`` with another bias."""
    lift, offset = _lifted(bias / unit * 2.0**weights.shift, form)
    return QuantisedWeights(
        weight=weights.weight,
        multiplier=weights.multiplier,
        offset=offset,
        lift=lift,
        shift=weights.shift,
    )
