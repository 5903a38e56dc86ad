"""Decode a picture (path, file bytes, PIL image or array) to pixels, and convert it to grey."""

from __future__ import annotations

import importlib
import io
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from kilonet.content import MAX_PICTURE, read_content
from kilonet.preprocessing.errors import TooLargeError, UnreadableError

Bytes: TypeAlias = npt.NDArray[np.uint8]
PictureSource: TypeAlias = "str | os.PathLike[str] | bytes | npt.NDArray[Any] | Image.Image"

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM")
HEIF = "HEIF"  # Pillow knows this format where pillow-heif is installed
HEIC_BRANDS = (b"heic", b"heix", b"mif1", b"heim")
ALPHA_MODES = ("RGBA", "LA", "PA", "La", "RGBa")
MAX_PIXELS = 64_000_000  # a phone camera's resolution; 256 MB while it is decoded
MAX_SIDE = 32_768  # pixels of each side; a picture of 1×16,000,000 takes 30 times as long as 4000²
UNNAMED = "The picture"
UNIFORM_RANGE = 64  # grey levels: visible pixels within this range count as one colour


@dataclass(frozen=True, eq=False)
class GreyPicture:
    """Grey pixels, uint8 (H, W), and the name that messages use for the picture.

    ``has_more`` says that the file has later pages or frames; the pixels are those of the first.
    """

    name: str
    grey: Bytes
    has_more: bool = False


def decode_grey(source: PictureSource, *, max_pixels: int = MAX_PIXELS) -> GreyPicture:
    """Return ``source`` as grey pixels, oriented as its EXIF data says.

    Arrays are uint8 or bool, or floats from 0 to 1: (H, W), (H, W, 1), (H, W, 3) in RGB or
    (H, W, 4) in RGBA. The first frame of an animation is used. Transparent pixels become background
    (see ``flatten_alpha``).

    Raises:
        TooLargeError: it has more than ``max_pixels``, or a side of more than ``MAX_SIDE``. This is
            checked before decoding.
        UnreadableError: it is not a picture, or is damaged.
    """
    has_more = False

    def convert(image: Image.Image) -> Bytes:
        nonlocal has_more
        has_more = bool(getattr(image, "is_animated", False))
        return _image_to_grey(image)

    name, grey = decode(source, convert, _array_to_grey, max_pixels)
    return GreyPicture(name, grey, has_more)


def decode(
    source: PictureSource,
    convert_image: Callable[[Image.Image], Bytes],
    convert_array: Callable[[npt.NDArray[Any], int], Bytes],
    max_pixels: int,
) -> tuple[str, Bytes]:
    """Return the name that messages use for the picture, and its converted pixels.

    ``convert_image`` gets a decoded, upright image. ``convert_array`` gets an array and
    ``max_pixels``. Raises the errors of ``decode_grey``.
    """
    if isinstance(source, np.ndarray):
        return UNNAMED, convert_array(source, max_pixels)
    if isinstance(source, Image.Image):
        return UNNAMED, _decode_image(source, UNNAMED, max_pixels, convert_image)
    if isinstance(source, bytes | bytearray | memoryview):
        return UNNAMED, _decode_file(bytes(source), UNNAMED, max_pixels, convert_image)
    name = os.fspath(source)
    try:
        content = read_content(name, MAX_PICTURE)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableError(name, reason) from None
    return name, _decode_file(content, name, max_pixels, convert_image)


def _decode_file(
    content: bytes, name: str, max_pixels: int, convert_image: Callable[[Image.Image], Bytes]
) -> Bytes:
    if not content:
        raise UnreadableError(name, "it is empty")
    if (remedy := _other_format(content)) is not None:
        raise UnreadableError(name, remedy)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of large pictures; here they are an error
        try:
            formats = (*FORMATS, HEIF) if HEIF in Image.OPEN else FORMATS
            image = Image.open(io.BytesIO(content), formats=formats)
        except UnidentifiedImageError:
            raise UnreadableError(name, "its content is of no known format") from None
        except Exception as error:  # each of Pillow's decoders raises errors of its own
            raise UnreadableError(name, _first_line(error)) from None
        with image:
            return _decode_image(image, name, max_pixels, convert_image)


def _other_format(content: bytes) -> str | None:
    """Return the name of a format that is not read, and a remedy; None for other files.

    HEIC, which iPhones write, is read where the package ``pillow-heif`` is installed.
    """
    start = content[:1024].lstrip()
    if content[4:8] == b"ftyp":
        brands = content[8:40]
        if b"avif" in brands:
            return "it is an AVIF file. Save it as PNG or JPEG"
        if any(brand in brands for brand in HEIC_BRANDS) and not _register_heif():
            return "it is a HEIC file. Install pillow-heif, or save it as JPEG"
    if start.startswith(b"%PDF"):
        return "it is a PDF file. Save its page as PNG"
    if b"<svg" in start and start.startswith(b"<"):
        return "it is an SVG drawing. Save it as PNG"
    return None


def _register_heif() -> bool:
    """Let Pillow read HEIC; return whether that is possible."""
    try:
        pillow_heif = importlib.import_module("pillow_heif")
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def _decode_image(
    image: Image.Image, name: str, max_pixels: int, convert_image: Callable[[Image.Image], Bytes]
) -> Bytes:
    width, height = image.size
    _check_size(name, width, height, max_pixels)
    if not width * height:
        raise UnreadableError(name, "it has no pixels")
    try:
        image.load()
        return convert_image(_apply_orientation(image))
    except Exception as error:
        raise UnreadableError(name, _first_line(error)) from None


def _check_size(name: str, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise TooLargeError(name, width, height, f"at most {max_pixels:,} are allowed")
    if max(width, height) > MAX_SIDE:
        raise TooLargeError(name, width, height, f"each side may have at most {MAX_SIDE:,}")


def _apply_orientation(image: Image.Image) -> Image.Image:
    """Return the image upright, by its EXIF orientation; the same object if it is upright."""
    if image.getexif().get(ExifTags.Base.Orientation, 1) == 1:
        return image
    return ImageOps.exif_transpose(image)


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0].rstrip(".: ") or type(error).__name__


# PIL images


def _image_to_grey(image: Image.Image) -> Bytes:
    if image.mode in ALPHA_MODES or "transparency" in image.info:
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        if image.getchannel("A").getextrema() != (255, 255):
            return flatten_alpha(np.asarray(image))
    if (grey := grey_image_pixels(image)) is not None:
        return grey
    image = image if image.mode in ("RGB", "RGBA") else image.convert("RGB")
    return np.asarray(image.convert("L"))  # equals luma; a test holds it


def grey_image_pixels(image: Image.Image) -> Bytes | None:
    """Return the pixels, (H, W), of a grey image of any bit depth; None if it is not grey."""
    if image.mode.startswith("I;16"):
        return (np.asarray(image).astype(np.uint32) // 257).astype(np.uint8)
    if image.mode in ("I", "F"):
        return _min_max_to_bytes(np.asarray(image, dtype=np.float64))
    return np.asarray(image) if image.mode == "L" else None


def _min_max_to_bytes(values: npt.NDArray[np.float64]) -> Bytes:
    """Return pixels of unknown range, scaled so that the minimum is 0 and the maximum 255."""
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise ValueError("it has pixels that are no numbers")
    return np.floor((values - low) * (255 / max(high - low, 1e-300)) + 0.5).astype(np.uint8)


# Arrays


def _array_to_grey(values: npt.NDArray[Any], max_pixels: int) -> Bytes:
    pixels = array_pixels(values, max_pixels)
    if pixels.ndim == 2:
        return pixels
    return flatten_alpha(pixels) if pixels.shape[2] == 4 else luma(pixels)


def array_pixels(values: npt.NDArray[Any], max_pixels: int) -> Bytes:
    """Return an array as uint8 pixels: (H, W), (H, W, 3) or (H, W, 4)."""
    shape = "×".join(map(str, values.shape))
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    channels = values.shape[2] if values.ndim == 3 else 1
    if values.ndim not in (2, 3) or channels not in (1, 3, 4) or not values.size:
        reason = f"its shape is {shape or 'that of one number'}, not height×width, or that ×3 or ×4"
        raise UnreadableError("The array", reason)
    _check_size("The array", values.shape[1], values.shape[0], max_pixels)
    return _to_bytes(values)


def _to_bytes(values: npt.NDArray[Any]) -> Bytes:
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if not np.issubdtype(values.dtype, np.floating):
        reason = f"its values are {values.dtype}, not uint8, or floats from 0 to 1"
        raise UnreadableError("The array", reason)
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):  # NaN fails this too
        reason = f"its values run from {low:g} to {high:g}; floats must be 0 to 1"
        raise UnreadableError("The array", reason)
    return np.floor(values.astype(np.float64) * 255 + 0.5).astype(np.uint8)


# Colour and transparency, in integers so that every programming language gets the same result


def luma(rgb: Bytes) -> Bytes:
    """Return (H, W) for (H, W, ≥3): 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), rounded."""
    weighted = rgb[..., 0] * np.uint32(19595)
    weighted += rgb[..., 1] * np.uint32(38470)
    weighted += rgb[..., 2] * np.uint32(7471)
    return ((weighted + 0x8000) >> 16).astype(np.uint8)


def flatten_alpha(rgba: Bytes) -> Bytes:
    """Return RGBA pixels, (H, W, 4), as grey, (H, W), on a background chosen from what is visible.

    If the visible pixels are all about one grey, they are ink without paper, and the background is
    black or white, whichever differs more. Otherwise they are ink on a sheet of paper, and the
    background is their median grey, that of the paper.
    """
    grey, alpha = luma(rgba), rgba[..., 3]
    if alpha.min() == 255:
        return grey
    cumulative = np.bincount(grey[alpha >= 128], minlength=256).cumsum()  # of visible pixels
    visible = int(cumulative[-1])
    if not visible:
        return np.full_like(grey, 255)
    low, middle, high = (
        int(np.searchsorted(cumulative, visible * part // 20, side="right")) for part in (1, 10, 19)
    )
    fill = middle if high - low > UNIFORM_RANGE else 255 if middle < 128 else 0
    mixed = grey * alpha.astype(np.uint32) + np.uint32(fill) * (255 - alpha.astype(np.uint32))
    return ((mixed + 127) // 255).astype(np.uint8)
