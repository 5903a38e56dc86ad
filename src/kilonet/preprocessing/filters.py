"""Filters and statistics of grey pictures: means, opening and closing, medians, noise."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]

MAD_TO_STD = 1.4826  # median absolute deviation to standard deviation, for normal noise


def upper_median(values: Floats) -> float:
    """Return the upper median; 0 for no values."""
    if not values.size:
        return 0.0
    return float(np.partition(values, values.size // 2, axis=None)[values.size // 2])


def pixel_noise(grey: Floats) -> float:
    """Return the standard deviation of the noise, from the differences of neighbouring pixels."""
    return MAD_TO_STD * upper_median(np.abs(np.diff(grey, axis=1)).ravel()) / math.sqrt(2)


def mean_3x3(grey: Floats) -> Floats:
    """Return the means of 3×3 pixels, with the border replicated."""
    padded = np.pad(grey, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9


def max_3x3(values: Floats) -> Floats:
    """Return the maxima of 3×3 pixels, with the border replicated."""
    return _running_max(_running_max(np.pad(values, 1, mode="edge"), 1, 0), 1, 1)


def box_mean(grey: Floats, reach: int) -> Floats:
    """Return the means of squares of 2·reach + 1 pixels, with the border replicated.

    Replicated pixels are counted instead of padded, because ``reach`` may exceed the picture.
    """
    for axis in (0, 1):
        values = np.swapaxes(grey, 0, axis)
        count = len(values)
        sums = np.concatenate([np.zeros_like(values[:1]), values.cumsum(0)])
        index = np.arange(count)[:, None]
        stop, start = index + reach + 1, index - reach
        outside = np.maximum(stop - count, 0) * values[-1] + np.maximum(-start, 0) * values[0]
        inside = sums[np.minimum(stop[:, 0], count)] - sums[np.maximum(start[:, 0], 0)]
        grey = np.swapaxes((inside + outside) / (2 * reach + 1), 0, axis)
    return grey


def opening(values: Floats, reach: int) -> Floats:
    """Return the morphological opening by a square of 2·reach + 1, with the border replicated.

    A reach beyond the picture's own length gives the same result as that length.
    """
    down, across = (min(reach, length - 1) for length in values.shape)
    result = np.pad(values, ((2 * down,) * 2, (2 * across,) * 2), mode="edge")
    for sign in (-1, 1):
        result = sign * _running_max(_running_max(sign * result, down, 0), across, 1)
    return result


def _running_max(values: Floats, reach: int, axis: int) -> Floats:
    """Return the maximum of each 2·reach + 1 consecutive values; the result is 2·reach shorter."""
    values = np.swapaxes(values, 0, axis)
    length, span = 2 * reach + 1, 1
    count = len(values) - 2 * reach
    while 2 * span <= length:
        values = np.maximum(values[:-span], values[span:])
        span *= 2
    return np.swapaxes(np.maximum(values[:count], values[length - span :][:count]), 0, axis)


def stroke_width(canvas: Floats) -> float:
    """Return the mean width of strokes in pixels: twice the area divided by the outline's length.

    Steps between pixels overestimate the outline, by 4/π on average over all directions.
    """
    padded = np.zeros((canvas.shape[0] + 2, canvas.shape[1] + 2))
    padded[1:-1, 1:-1] = canvas
    down, across = padded[1:] - padded[:-1], padded[:, 1:] - padded[:, :-1]
    steps = np.abs(down, out=down).sum() + np.abs(across, out=across).sum()
    return float(2 * canvas.sum() / (steps * math.pi / 4))
