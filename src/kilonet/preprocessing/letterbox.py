"""Resize a whole picture to a network's input size, for networks that do not classify digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from kilonet.preprocessing.decode import (
    ALPHA_MODES,
    MAX_PIXELS,
    Bytes,
    PictureSource,
    array_pixels,
    decode,
    grey_image_pixels,
    luma,
)


def letterbox(
    source: PictureSource, shape: tuple[int, int, int], *, max_pixels: int = MAX_PIXELS
) -> Bytes:
    """Return a picture as uint8 of ``shape``, (C, H, W), with one channel (grey) or three (RGB).

    The aspect ratio is kept: the picture is resized (bilinear, antialiased) to the largest size
    that fits and centred on black. A picture that already has this size is not resampled.
    Transparent pixels become white if the visible ones are dark, else black. ``source`` and EXIF
    orientation are as in ``decode_grey``.

    Raises:
        PictureError: ``source`` is not a picture, is damaged, or exceeds ``max_pixels``.
    """
    _, pixels = decode(source, _image_to_rgb, _array_to_rgb, max_pixels)
    channels, height, width = shape
    picture = pixels if channels == 3 else luma(pixels)
    result = np.zeros((height, width, *picture.shape[2:]), dtype=np.uint8)
    scale = min(height / len(picture), width / picture.shape[1])
    rows, columns = (
        max(1, min(round(picture.shape[axis] * scale), (height, width)[axis])) for axis in (0, 1)
    )
    top, left = (height - rows) // 2, (width - columns) // 2
    result[top : top + rows, left : left + columns] = _resize(picture, columns, rows)
    return np.moveaxis(np.atleast_3d(result), 2, 0).copy()


def _resize(pixels: Bytes, width: int, height: int) -> Bytes:
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR))


def _image_to_rgb(image: Image.Image) -> Bytes:
    if image.mode in ALPHA_MODES or "transparency" in image.info:
        return _composite(np.asarray(image.convert("RGBA")))
    grey = grey_image_pixels(image)
    return _grey_to_rgb(grey) if grey is not None else np.asarray(image.convert("RGB"))


def _array_to_rgb(values: npt.NDArray[Any], max_pixels: int) -> Bytes:
    pixels = array_pixels(values, max_pixels)
    if pixels.ndim == 2:
        return _grey_to_rgb(pixels)
    return _composite(pixels) if pixels.shape[2] == 4 else pixels


def _grey_to_rgb(grey: Bytes) -> Bytes:
    return np.repeat(grey[:, :, None], 3, axis=2)


def _composite(rgba: Bytes) -> Bytes:
    """Return (H, W, 3) for (H, W, 4) on black or white, in integers so that JavaScript agrees."""
    colour, alpha = rgba[..., :3].astype(np.uint32), rgba[..., 3:].astype(np.uint32)
    total = int(alpha.sum())
    weighted = int((luma(rgba).astype(np.uint64) * alpha[..., 0]).sum())
    fill = np.uint32(255 if total and weighted < 128 * total else 0)
    return ((colour * alpha + fill * (255 - alpha) + 127) // 255).astype(np.uint8)
