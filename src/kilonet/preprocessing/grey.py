"""Colour and transparency to grey, in whole numbers, so that any language gets the same."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Bytes: TypeAlias = npt.NDArray[np.uint8]

_UNIFORM = 64  # grey levels within which what is visible counts as one colour


def luma(rgb: Bytes) -> Bytes:
    """Return (H, W) for (H, W, 3 or more): 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), rounded."""
    weighted = rgb[..., 0] * np.uint32(19595)
    weighted += rgb[..., 1] * np.uint32(38470)
    weighted += rgb[..., 2] * np.uint32(7471)
    return ((weighted + 0x8000) >> 16).astype(np.uint8)


def flatten(rgba: Bytes) -> Bytes:
    """Return the grey (H, W) of a picture (H, W, 4) on a background that its visible part suits.

    If all that is visible is about one grey, that is ink on nothing: it is laid on black or white,
    whichever is farther. Otherwise it is ink on paper with nothing around, and the paper's grey,
    the median, goes on.
    """
    grey, alpha = luma(rgba), rgba[..., 3]
    if alpha.min() == 255:
        return grey
    upto = np.bincount(grey[alpha >= 128], minlength=256).cumsum()  # visible pixels, by grey
    visible = int(upto[-1])
    if not visible:
        return np.full_like(grey, 255)
    low, middle, high = (
        int(np.searchsorted(upto, visible * part // 20, side="right")) for part in (1, 10, 19)
    )
    fill = middle if high - low > _UNIFORM else 255 if middle < 128 else 0
    mixed = grey * alpha.astype(np.uint32) + np.uint32(fill) * (255 - alpha.astype(np.uint32))
    return ((mixed + 127) // 255).astype(np.uint8)
