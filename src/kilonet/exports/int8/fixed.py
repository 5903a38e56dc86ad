"""Real numbers as integers: encodings of values, scales of weights, factors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from kilonet.exports.int8.operators import Encoding, Weights

LEVELS = 255
SAMPLE = 50_000
"""Values of one kind that the search for a range looks at; more do not change it."""

HEADROOM = 4
"""How much larger than any calibrated logit an int16 one may become."""


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
) -> Weights:
    """Return int8 weights whose sums over inputs of ``scale`` become multiples of ``unit``.

    ``scale`` is that of each weight's input, one number or in the shape of ``weight``; ``unit`` one
    number or one for each output. A channel's weights, times their scales, are multiples of
    multiplier · 2^−shift · unit, with the multiplier of least loss: errors count by ``squares``
    (the shape of ``weight``), the mean square of the input that each weight is for. A large weight
    for an input that is always near 0, as batch norm can leave one, would otherwise coarsen all
    others.
    """
    rows = (weight.astype(np.float64) * scale).reshape(len(weight), -1)
    floor = 1e-6 * squares.mean() + 1e-12
    counts = np.broadcast_to((squares + floor) / np.square(scale), weight.shape).reshape(rows.shape)
    peaks = np.maximum(np.abs(rows).max(1), 1e-12) / 127 / unit
    shift = int(np.clip(np.floor(np.log2(65535 / peaks.max())), 1, 46))
    step = unit * 2.0**-shift
    best, loss = np.ones(len(rows)), np.full(len(rows), np.inf)
    for part in np.geomspace(1, 0.02, 40):
        tried = np.clip(np.ceil(peaks * part * 2.0**shift), 1, 65535)
        lost = (counts * np.square(rows - _multiples(rows, tried * step))).sum(1)
        best, loss = np.where(lost < loss, tried, best), np.minimum(lost, loss)
    whole = np.clip(np.rint(rows / (best * step)[:, None]), -127, 127)
    lift, offset = _lifted(bias / unit * 2.0**shift)
    return Weights(
        weight=whole.astype(np.int8).reshape(weight.shape),
        multiplier=best.astype(np.uint16),
        offset=offset,
        lift=lift,
        shift=shift,
    )


def _multiples(rows: npt.NDArray[np.float64], steps: npt.NDArray[np.float64]) -> Any:
    return np.clip(np.rint(rows / steps[:, None]), -127, 127) * steps[:, None]


def _lifted(offsets: npt.NDArray[np.float64]) -> tuple[int, npt.NDArray[np.int16]]:
    """Return the least shift that brings ``offsets`` into int16, and what they are then."""
    largest = max(float(np.abs(offsets).max()), 1.0)
    lift = max(0, int(np.ceil(np.log2(largest / 32766))))
    return lift, np.rint(offsets / 2.0**lift).astype(np.int16)


def biased(
    weights: Weights, bias: npt.NDArray[np.float64], unit: float | npt.NDArray[np.float64]
) -> Weights:
    """Return ``weights`` with another bias."""
    lift, offset = _lifted(bias / unit * 2.0**weights.shift)
    return Weights(
        weight=weights.weight,
        multiplier=weights.multiplier,
        offset=offset,
        lift=lift,
        shift=weights.shift,
    )
