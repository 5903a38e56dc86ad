"""From what a caller has (a path, bytes, an array, a PIL image) to grey pixels."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from kilonet.preprocessing.failures import TooLargeError, UnreadableError
from kilonet.preprocessing.grey import Bytes, flatten, luma

Grey: TypeAlias = npt.NDArray[np.uint8]
Source: TypeAlias = "str | os.PathLike[str] | bytes | npt.NDArray[Any] | Image.Image"

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM")
MOST_PIXELS = 64_000_000  # what telephones take, and 256 MB while it is decoded
UNNAMED = "The picture"


@dataclass(frozen=True, eq=False)
class Picture:
    """Grey pixels, uint8 (H, W), and what messages call them."""

    name: str
    grey: Grey


def open_picture(source: Source, *, most_pixels: int = MOST_PIXELS) -> Picture:
    """Return the picture in ``source`` as grey pixels, turned as its EXIF orientation says.

    Arrays are uint8 or bool, or floats from 0 to 1: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), red,
    green, blue and opacity. Of an animation the first frame counts. Transparent pixels become
    background (see ``grey.flatten``).

    Raises:
        TooLargeError: it has more than ``most_pixels``; that is known before it is decoded.
        UnreadableError: it is no picture, or damaged.
    """
    return Picture(*open_as(source, _grey_of_image, _grey_of_array, most_pixels))


def open_as(
    source: Source,
    of_image: Callable[[Image.Image], Bytes],
    of_array: Callable[[npt.NDArray[Any], int], Bytes],
    most_pixels: int,
) -> tuple[str, Bytes]:
    """Return what messages call the picture, and its pixels as the two functions make them.

    ``of_image`` gets a decoded image that stands upright; ``of_array`` an array and the most pixels
    that it may have. Raises what ``open_picture`` does.
    """
    if isinstance(source, np.ndarray):
        return UNNAMED, of_array(source, most_pixels)
    if isinstance(source, Image.Image):
        return UNNAMED, _decoded(source, UNNAMED, most_pixels, of_image)
    if isinstance(source, bytes | bytearray | memoryview):
        return UNNAMED, _read(bytes(source), UNNAMED, most_pixels, of_image)
    name = os.fspath(source)
    try:
        content = Path(name).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableError(name, reason) from None
    return name, _read(content, name, most_pixels, of_image)


def _read(
    content: bytes, name: str, most_pixels: int, of_image: Callable[[Image.Image], Bytes]
) -> Bytes:
    if not content:
        raise UnreadableError(name, "it is empty")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own about large pictures: ours is an error
        try:
            image = Image.open(io.BytesIO(content), formats=FORMATS)
        except UnidentifiedImageError:
            raise UnreadableError(name, "its content is of no known format") from None
        except Exception as error:  # each of Pillow's readers fails in its own way
            raise UnreadableError(name, _reason(error)) from None
        with image:
            return _decoded(image, name, most_pixels, of_image)


def _decoded(
    image: Image.Image, name: str, most_pixels: int, of_image: Callable[[Image.Image], Bytes]
) -> Bytes:
    width, height = image.size
    if width * height > most_pixels:
        raise TooLargeError(name, width, height, most_pixels)
    if not width * height:
        raise UnreadableError(name, "it has no pixels")
    try:
        image.load()
        return of_image(_upright(image))
    except Exception as error:
        raise UnreadableError(name, _reason(error)) from None


def _upright(image: Image.Image) -> Image.Image:
    """Return the image turned as its EXIF orientation says; itself, not a copy, if that is as it
    is."""
    if image.getexif().get(ExifTags.Base.Orientation, 1) == 1:
        return image
    return ImageOps.exif_transpose(image)


def _grey_of_image(image: Image.Image) -> Grey:
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        if image.getchannel("A").getextrema() != (255, 255):
            return flatten(np.asarray(image))
    if (grey := single_channel(image)) is not None:
        return grey
    image = image if image.mode in ("RGB", "RGBA") else image.convert("RGB")
    return np.asarray(image.convert("L"))  # which is luma, tested


def single_channel(image: Image.Image) -> Grey | None:
    """Return the pixels of a grey image of any depth, (H, W); None where it is none."""
    if image.mode.startswith("I;16"):
        return (np.asarray(image).astype(np.uint32) // 257).astype(np.uint8)
    if image.mode in ("I", "F"):
        return _stretched(np.asarray(image, dtype=np.float64))
    return np.asarray(image) if image.mode == "L" else None


def _stretched(values: npt.NDArray[np.float64]) -> Grey:
    """Return pixels of an unknown range, from their least to their greatest, as 0 to 255."""
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise ValueError("it has pixels that are no numbers")
    return np.floor((values - low) * (255 / max(high - low, 1e-300)) + 0.5).astype(np.uint8)


def _grey_of_array(values: npt.NDArray[Any], most_pixels: int) -> Grey:
    pixels = pixels_of_array(values, most_pixels)
    if pixels.ndim == 2:
        return pixels
    return flatten(pixels) if pixels.shape[2] == 4 else luma(pixels)


def pixels_of_array(values: npt.NDArray[Any], most_pixels: int) -> Bytes:
    """Return a picture's array as uint8, (H, W), (H, W, 3) or (H, W, 4)."""
    shape = "×".join(map(str, values.shape))
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    channels = values.shape[2] if values.ndim == 3 else 1
    if values.ndim not in (2, 3) or channels not in (1, 3, 4) or not values.size:
        reason = f"its shape is {shape or 'that of one number'}, not height×width, or that ×3 or ×4"
        raise UnreadableError("The array", reason)
    if values.shape[0] * values.shape[1] > most_pixels:
        raise TooLargeError("The array", values.shape[1], values.shape[0], most_pixels)
    return _bytes_of(values)


def _bytes_of(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if not np.issubdtype(values.dtype, np.floating):
        reason = f"its values are {values.dtype}, not uint8, or floats from 0 to 1"
        raise UnreadableError("The array", reason)
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):  # which NaN fails too
        reason = f"its values run from {low:g} to {high:g}; floats must be 0 to 1"
        raise UnreadableError("The array", reason)
    return np.floor(values.astype(np.float64) * 255 + 0.5).astype(np.uint8)


def _reason(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0].rstrip(".: ") or type(error).__name__
