"""Pictures that are almost the same: a perceptual hash to find them, a comparison to be sure.

The hash says for neighbouring pixels of a small grey version which is brighter (dHash; N. Krawetz,
"Kind of Like That", 2013), so that size, compression and brightness hardly change it. Drawings on
much blank paper, and pictures that stand in the same black borders, have similar hashes all the
same, hence the comparison: in colour, over all of it and then part by part.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels: TypeAlias = npt.NDArray[np.uint8]

SIDE = 16
MOST_BITS = 40  # of 256 that may differ; in plain areas noise decides
MOST_LEVELS = 12.0  # grey levels of 255 by which pixels may differ on average, brightness aside
LEAST_CORRELATION = 0.9  # of the pixels: thin lines on paper differ by little on average
PARTS = 8  # a side: copies are alike in each of the 64
MOST_LEVELS_OF_A_PART = 32.0
_FLAT = 1.0  # grey levels: less variation than that is none
_ROWS = 1024  # compared at once


def difference_hash(pixels: Pixels) -> npt.NDArray[np.bool_]:
    """Return 256 bits for a picture, uint8 (C, H, W): whether each pixel of 16×17, in grey, is
    darker than the one to its right.
    """
    grey = pixels.mean(axis=0, dtype=np.float32).round().astype(np.uint8)
    small = Image.fromarray(grey).resize((SIDE + 1, SIDE), Image.Resampling.BOX)
    values = np.asarray(small).astype(np.int16)
    return (values[:, 1:] > values[:, :-1]).ravel()


def near_duplicates(first: Pixels, second: Pixels) -> list[tuple[int, int]]:
    """Return the pairs (i, j) of almost equal pictures: uint8, (N, C, H, W) and (M, C, H, W).

    Height and width are multiples of ``PARTS``.
    """
    if not len(first) or not len(second):
        return []
    signs = [_signs(pictures) for pictures in (first, second)]
    pairs = []
    for start in range(0, len(first), _ROWS):
        agreement = signs[0][start : start + _ROWS] @ signs[1].T
        close = np.argwhere(agreement >= SIDE * SIDE - 2 * MOST_BITS)
        pairs += [(start + int(i), int(j)) for i, j in close]
    return [(i, j) for i, j in pairs if _alike(first[i], second[j])]


def _signs(pictures: Pixels) -> npt.NDArray[np.float32]:
    """Return (N, 256) of ±1: the product of two is 256 less twice the bits that differ."""
    bits = np.stack([difference_hash(picture) for picture in pictures])
    return np.where(bits, np.float32(1), np.float32(-1))


def _alike(one: Pixels, other: Pixels) -> bool:
    first, second = (pixels - pixels.mean(dtype=np.float64) for pixels in (one, other))
    difference = first - second
    if np.abs(difference).mean() > MOST_LEVELS or _of_parts(difference) > MOST_LEVELS_OF_A_PART:
        return False
    spread = first.std() * second.std()
    flat = max(first.std(), second.std()) < _FLAT
    return bool(flat or (first * second).mean() >= LEAST_CORRELATION * spread)


def _of_parts(difference: npt.NDArray[np.float64]) -> float:
    """Return the largest mean difference of a part and channel, (C, H, W), either way."""
    channels, height, width = difference.shape
    parts = difference.reshape(channels, PARTS, height // PARTS, PARTS, width // PARTS)
    return float(np.abs(parts.mean(axis=(2, 4))).max())
