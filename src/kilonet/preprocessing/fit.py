"""A whole picture, scaled to what a network takes: for pictures that are not of ink on paper."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from kilonet.preprocessing.grey import Bytes, luma
from kilonet.preprocessing.opening import (
    MOST_PIXELS,
    Source,
    open_as,
    pixels_of_array,
    single_channel,
)


def fit(source: Source, shape: tuple[int, int, int], *, most_pixels: int = MOST_PIXELS) -> Bytes:
    """Return a picture as uint8 of ``shape``, (C, H, W) with one channel (grey) or three.

    It is scaled as large as it fits (bilinear, averaging where it shrinks) and stands in the middle
    of black; one of that size already keeps its pixels. ``source`` is whatever ``open_picture``
    takes; EXIF orientation counts. What is transparent becomes white if the rest is dark, else
    black.

    Raises:
        PictureError: it is no picture, damaged, or has more than ``most_pixels``.
    """
    _, pixels = open_as(source, _colour_of_image, _colour_of_array, most_pixels)
    channels, height, width = shape
    shown = pixels if channels == 3 else luma(pixels)
    result = np.zeros((height, width, *shown.shape[2:]), dtype=np.uint8)
    scale = min(height / len(shown), width / shown.shape[1])
    size = [max(1, min(round(shown.shape[axis] * scale), (height, width)[axis])) for axis in (0, 1)]
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    result[top : top + size[0], left : left + size[1]] = _scaled(shown, (size[1], size[0]))
    return np.moveaxis(np.atleast_3d(result), 2, 0).copy()


def _scaled(pixels: Bytes, size: tuple[int, int]) -> Bytes:
    if (pixels.shape[1], pixels.shape[0]) == size:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))


def _colour_of_image(image: Image.Image) -> Bytes:
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        return _laid_on_plain(np.asarray(image.convert("RGBA")))
    grey = single_channel(image)
    return _three(grey) if grey is not None else np.asarray(image.convert("RGB"))


def _colour_of_array(values: npt.NDArray[Any], most_pixels: int) -> Bytes:
    pixels = pixels_of_array(values, most_pixels)
    if pixels.ndim == 2:
        return _three(pixels)
    return _laid_on_plain(pixels) if pixels.shape[2] == 4 else pixels


def _three(grey: Bytes) -> Bytes:
    return np.repeat(grey[:, :, None], 3, axis=2)


def _laid_on_plain(rgba: Bytes) -> Bytes:
    """Return (H, W, 3) for (H, W, 4), in whole numbers, so that the page gets the same."""
    colour, alpha = rgba[..., :3].astype(np.uint32), rgba[..., 3:].astype(np.uint32)
    visible = int(alpha.sum())
    weighted = int((luma(rgba).astype(np.uint64) * alpha[..., 0]).sum())
    fill = np.uint32(255 if visible and weighted < 128 * visible else 0)
    return ((colour * alpha + fill * (255 - alpha) + 127) // 255).astype(np.uint8)
