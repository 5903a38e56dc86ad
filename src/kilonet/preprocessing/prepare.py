"""Turn a picture of a handwritten digit into a 28×28 image like those of MNIST.

Y. LeCun, C. Cortes and C. Burges, The MNIST database of handwritten digits: "The original black and
white (bilevel) images from NIST were size normalized to fit in a 20×20 pixel box while preserving
their aspect ratio. The resulting images contain grey levels as a result of the anti-aliasing
technique used by the normalization algorithm. The images were centered in a 28×28 image by
computing the center of mass of the pixels, and translating the image so as to position this point
at the center of the 28×28 field."
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from kilonet.preprocessing.components import connected_components, group_digits
from kilonet.preprocessing.decode import MAX_PIXELS, PictureSource, decode_grey
from kilonet.preprocessing.errors import NoiseError, SeveralDigitsError
from kilonet.preprocessing.filters import stroke_width
from kilonet.preprocessing.segment import DigitInk, find_digits

Floats: TypeAlias = npt.NDArray[np.float64]
Image28: TypeAlias = npt.NDArray[np.uint8]

SIDE = 28
BOX = 20
CANVAS = 80  # pixels: the longer side of the bilevel image, which 4:1 averaging brings to 20
INK_BLACK, INK_WHITE = 0.35, 0.9  # shares of full ink that become 0 and 1
MIN_STROKE, MAX_STROKE = 2.0, 4.0  # pixels of 20: strokes outside this are thickened or thinned

# What an image that is prepared already looks like: grey levels on its border, its brightest pixel,
# pixels of its digit's longer side, pixels from the centre of mass to the centre.
PREPARED_BORDER, PREPARED_PEAK, PREPARED_SIDE, PREPARED_OFFSET = 8, 192, 16, 1.0
PREPARED_INK = 64  # grey levels: brighter pixels that touch are one component


@dataclass(frozen=True, eq=False)
class PreparedDigit:
    """A digit as an MNIST image, uint8 (28, 28), and whether the picture may cut it off."""

    image: Image28
    cut_off: bool = False


@dataclass(frozen=True, eq=False)
class PreparedPicture:
    """The digits of a picture, left to right, and whether its file has later pages or frames.

    ``name`` is what messages call the picture.
    """

    digits: list[PreparedDigit]
    has_more: bool = False
    name: str = "The picture"


def prepare(source: PictureSource, *, max_pixels: int = MAX_PIXELS) -> Image28:
    """Return the one digit in a picture as an MNIST image: uint8 (28, 28), bright ink on 0.

    ``source`` is a path, the bytes of a file, a PIL image or an array (see ``decode_grey``). Its
    ink is darker or lighter than its paper. An image that is prepared already stays as it is.

    Raises:
        PictureError: there is no digit, or more than one; the message says which, and what to do.
    """
    return prepare_picture(source, max_pixels=max_pixels).digits[0].image


def split(source: PictureSource, *, max_pixels: int = MAX_PIXELS) -> list[Image28]:
    """Return every digit of a picture, left to right, each as ``prepare`` does; at least one.

    Raises:
        PictureError: there is no digit.
    """
    picture = prepare_picture(source, max_pixels=max_pixels, several=True)
    return [digit.image for digit in picture.digits]


def prepare_picture(
    source: PictureSource, *, max_pixels: int = MAX_PIXELS, several: bool = False
) -> PreparedPicture:
    """Return the digits of a picture and remarks on them; one digit, unless ``several``.

    Raises:
        PictureError: there is no digit, or more than one without ``several``.
    """
    picture = decode_grey(source, max_pixels=max_pixels)
    prepared = as_mnist_image(picture.grey)
    if prepared is not None:
        return PreparedPicture([PreparedDigit(prepared)], picture.has_more, picture.name)
    inks = find_digits(picture)
    if len(inks) > 1 and not several:
        raise SeveralDigitsError(picture.name, len(inks))
    digits = [PreparedDigit(to_28x28(ink, picture.name), ink.cut_off) for ink in inks]
    return PreparedPicture(digits, picture.has_more, picture.name)


def as_mnist_image(grey: Image28) -> Image28 | None:
    """Return ``grey`` as bright ink on black if it is an MNIST image already, else None.

    The image counts as an MNIST image if it is 28×28, its border is almost empty, and its ink is
    bright, in a box of 16 to 20 pixels, with the centre of mass in the middle.
    """
    if grey.shape != (SIDE, SIDE):
        return None
    border = np.sort(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))
    quarter = border.size // 4
    if border[3 * quarter] <= PREPARED_BORDER:
        bright = grey
    elif border[quarter] >= 255 - PREPARED_BORDER:
        bright = 255 - grey
    else:
        return None
    ink = np.where(bright > PREPARED_BORDER, bright, 0).astype(np.float64)
    if ink.max() < PREPARED_PEAK:
        return None
    lengths = [high - low for low, high in (_extent(ink.max(axis=axis) / 255) for axis in (0, 1))]
    offset = max(abs(_centre(ink.sum(axis=axis)) - (SIDE + 1) / 2) for axis in (0, 1))
    fits = PREPARED_SIDE <= max(lengths) <= BOX and offset <= PREPARED_OFFSET
    return bright if fits and _count_digits(ink) == 1 else None


def _count_digits(ink: Floats) -> int:
    """Return how many digits a bright image shows: two fit side by side into 20 pixels."""
    inked = np.flatnonzero(ink.max(axis=0) > PREPARED_INK)
    if np.diff(inked).max(initial=1) == 1:
        return 1  # no empty column between two digits
    components = connected_components(ink > PREPARED_INK, ink)
    return len(group_digits(components.items, components.shape))


def to_28x28(ink: DigitInk, name: str) -> Image28:
    """Return one digit as an MNIST image: uint8 (28, 28), bright ink on 0.

    The ink is scaled to 80 pixels, almost bilevel, and its strokes are thickened or thinned to
    between 2 and 4 pixels (of 20). The result is scaled to 20 pixels by area averaging and centred
    by its centre of mass.

    Raises:
        NoiseError: the strokes are so thin for their length that nothing is left. ``name`` is what
            the message calls the picture.
    """
    canvas = _to_canvas(ink)
    if not canvas.any():
        raise NoiseError(name)
    canvas = _limit_stroke_width(canvas)
    ys, xs = _extent(canvas.sum(axis=1)), _extent(canvas.sum(axis=0))
    side = max(ys[1] - ys[0], xs[1] - xs[0])
    small = _resize(canvas, _around(ys, side), _around(xs, side))
    pixels = np.floor(np.minimum(small, 1) * 255 + 0.5).astype(np.uint8)
    if not pixels.any():
        raise NoiseError(name)
    return _centre_by_mass(pixels)


def _to_canvas(ink: DigitInk) -> Floats:
    """Return the ink, almost bilevel (0 and 1), its longer side ``CANVAS`` pixels."""
    height, width = ink.values.shape
    scale = max(height, width) / CANVAS
    rows, columns = math.ceil(height / scale), math.ceil(width / scale)
    large = _resize(ink.values, (0, rows * scale, rows), (0, columns * scale, columns))
    return np.clip((large / ink.full - INK_BLACK) / (INK_WHITE - INK_BLACK), 0, 1)


# Stroke width


def _limit_stroke_width(canvas: Floats) -> Floats:
    side = max(high - low for low, high in (_extent(canvas.sum(axis=axis)) for axis in (0, 1)))
    unit = side / BOX
    width = stroke_width(canvas) / unit
    wanted = min(max(width, MIN_STROKE), MAX_STROKE)
    radius = abs(wanted - width) * unit / 2
    if radius < 0.5:
        return canvas
    return _dilate(canvas, radius) if wanted > width else 1 - _dilate(1 - canvas, radius, outside=1)


def _dilate(canvas: Floats, radius: float, outside: float = 0) -> Floats:
    """Return the maximum within ``radius`` of each pixel, on a canvas enlarged by the radius."""
    reach = math.floor(radius)
    height, width = (length + 2 * reach for length in canvas.shape)
    padded = np.full((height + 2 * reach, width + 2 * reach), float(outside))
    padded[2 * reach : height, 2 * reach : width] = canvas
    dilated = np.zeros((height, width))
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            if down * down + right * right <= radius * radius:
                top, left = reach + down, reach + right
                np.maximum(dilated, padded[top : top + height, left : left + width], out=dilated)
    return dilated


# Size and position


def _extent(profile: Floats) -> tuple[int, int]:
    """Return the first and one past the last index with at least half a pixel of ink."""
    inked = np.nonzero(profile >= 0.5)[0]
    return (int(inked[0]), int(inked[-1]) + 1) if inked.size else (0, len(profile))


def _around(extent: tuple[int, int], side: int) -> tuple[float, float, int]:
    middle = (extent[0] + extent[1]) / 2
    return middle - side / 2, middle + side / 2, BOX


def _resize(
    values: Floats, down: tuple[float, float, int], across: tuple[float, float, int]
) -> Floats:
    rows = _overlaps(values.shape[0], *down)
    columns = _overlaps(values.shape[1], *across)
    return rows @ values @ columns.T


def _overlaps(length: int, low: float, high: float, count: int) -> Floats:
    """Return the weights, (count, length), that resample ``low`` to ``high`` of ``length`` pixels.

    Reducing is area averaging. Enlarging averages over one source pixel, which is linear
    interpolation. Pixels outside are 0.
    """
    step = (high - low) / count
    width = max(1.0, step)
    middle = (low + (np.arange(count) + 0.5) * step)[:, None]
    pixel = np.arange(float(length))[None, :]
    overlap = np.minimum(pixel + 1, middle + width / 2)
    overlap -= np.maximum(pixel, middle - width / 2)
    np.maximum(overlap, 0, out=overlap)
    overlap /= width
    return np.asarray(overlap)


def _centre_by_mass(pixels: Image28) -> Image28:
    result = np.zeros((SIDE, SIDE), dtype=np.uint8)
    values = pixels.astype(np.float64)
    top, left = (_offset(_centre(values.sum(axis=axis))) for axis in (1, 0))
    result[top : top + BOX, left : left + BOX] = pixels
    return result


def _centre(profile: Floats) -> float:
    """Return the centre of mass; a pixel's centre is half a pixel from its edge."""
    return float((profile * (np.arange(len(profile)) + 0.5)).sum() / profile.sum())


def _offset(centre: float) -> int:
    """Return the start of the box that puts the centre of mass into pixel 14, as in MNIST."""
    return min(max(math.ceil(SIDE / 2 - centre), 0), SIDE - BOX)
