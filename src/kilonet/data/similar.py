"""Pictures that are almost the same: a perceptual hash to find them, a comparison to be sure.

The hash says for neighbouring pixels of a small grey version which is brighter (dHash; N. Krawetz,
"Kind of Like That", 2013), so that size, compression and brightness hardly change it. Drawings on
much blank paper have similar hashes all the same, hence the comparison.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

Grey: TypeAlias = npt.NDArray[np.uint8]

SIDE = 16
MOST_BITS = 40  # of 256 that may differ; in plain areas noise decides
MOST_LEVELS = 12.0  # grey levels of 255 by which pixels may differ on average, brightness aside
LEAST_CORRELATION = 0.9  # of the pixels: thin lines on paper differ by little on average
_FLAT = 1.0  # grey levels: less variation than that is none
_ROWS = 1024  # compared at once


def difference_hash(pixels: Grey) -> npt.NDArray[np.bool_]:
    """Return 256 bits for a grey picture (H, W): whether each pixel of 16×17 is darker than the
    one to its right.
    """
    small = Image.fromarray(pixels).resize((SIDE + 1, SIDE), Image.Resampling.BOX)
    values = np.asarray(small).astype(np.int16)
    return (values[:, 1:] > values[:, :-1]).ravel()


def near_duplicates(first: Grey, second: Grey) -> list[tuple[int, int]]:
    """Return the pairs (i, j) of almost equal pictures: uint8, (N, H, W) and (M, H, W)."""
    if not len(first) or not len(second):
        return []
    signs = [_signs(pictures) for pictures in (first, second)]
    pairs = []
    for start in range(0, len(first), _ROWS):
        agreement = signs[0][start : start + _ROWS] @ signs[1].T
        close = np.argwhere(agreement >= SIDE * SIDE - 2 * MOST_BITS)
        pairs += [(start + int(i), int(j)) for i, j in close]
    return [(i, j) for i, j in pairs if _alike(first[i], second[j])]


def _signs(pictures: Grey) -> npt.NDArray[np.float32]:
    """Return (N, 256) of ±1: the product of two is 256 less twice the bits that differ."""
    bits = np.stack([difference_hash(picture) for picture in pictures])
    return np.where(bits, np.float32(1), np.float32(-1))


def _alike(one: Grey, other: Grey) -> bool:
    first, second = (pixels - pixels.mean(dtype=np.float64) for pixels in (one, other))
    if np.abs(first - second).mean() > MOST_LEVELS:
        return False
    spread = first.std() * second.std()
    flat = max(first.std(), second.std()) < _FLAT
    return bool(flat or (first * second).mean() >= LEAST_CORRELATION * spread)
