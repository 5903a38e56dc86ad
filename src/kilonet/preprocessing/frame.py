"""One digit's ink to the 28×28 pixels that MNIST would have made of it.

Y. LeCun, C. Cortes and C. Burges, The MNIST database of handwritten digits: "The original black and
white (bilevel) images from NIST were size normalized to fit in a 20×20 pixel box while preserving
their aspect ratio. The resulting images contain grey levels as a result of the anti-aliasing
technique used by the normalization algorithm. The images were centered in a 28×28 image by
computing the center of mass of the pixels, and translating the image so as to position this point
at the center of the 28×28 field."
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from kilonet.preprocessing.ink import Ink

Floats: TypeAlias = npt.NDArray[np.float64]
Image28: TypeAlias = npt.NDArray[np.uint8]

SIDE = 28
BOX = 20
CANVAS = 80  # the longer side of the bilevel image: four of its pixels to one
PALE, DARK = 0.35, 0.9  # shares of full ink that are nothing and all of it
THIN, THICK = 2.0, 4.0  # pixels of 20: strokes outside are made wider or narrower

READY_RING, READY_PEAK, READY_BOX, READY_OFFSET = 8, 192, 16, 1.0


class FadedError(Exception):
    """Strokes are so thin for their length that nothing of them is left at MNIST's size."""


def frame(ink: Ink) -> Image28:
    """Return the digit as MNIST has it: uint8 (28, 28), bright ink on 0.

    It is drawn 80 pixels high or wide, all but black and white; its strokes are brought to a width
    that MNIST has; that is scaled to 20 by averaging areas, and moved by whole pixels.

    Raises:
        FadedError: nothing is left of it.
    """
    drawn = _drawn(ink)
    if not drawn.any():
        raise FadedError
    drawn = _with_usual_strokes(drawn)
    ys, xs = _extent(drawn.sum(axis=1)), _extent(drawn.sum(axis=0))
    side = max(ys[1] - ys[0], xs[1] - xs[0])
    small = _scaled(drawn, _around(ys, side), _around(xs, side))
    pixels = np.floor(np.minimum(small, 1) * 255 + 0.5).astype(np.uint8)
    if not pixels.any():
        raise FadedError
    return _centred(pixels)


def ready(grey: Image28) -> Image28 | None:
    """Return ``grey`` as bright ink on black if it is prepared already, else None.

    It is if it is 28×28, with next to nothing on its edge and full ink in a box of 16 to 20 pixels
    whose centre of mass is in the middle.
    """
    if grey.shape != (SIDE, SIDE):
        return None
    edge = np.sort(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))
    quarter = edge.size // 4
    if edge[3 * quarter] <= READY_RING:
        bright = grey
    elif edge[quarter] >= 255 - READY_RING:
        bright = 255 - grey
    else:
        return None
    ink = np.where(bright > READY_RING, bright, 0).astype(np.float64)
    if ink.max() < READY_PEAK:
        return None
    lengths = [high - low for low, high in (_extent(ink.max(axis=axis) / 255) for axis in (0, 1))]
    offset = max(abs(_middle(ink.sum(axis=axis)) - (SIDE + 1) / 2) for axis in (0, 1))
    fits = READY_BOX <= max(lengths) <= BOX and offset <= READY_OFFSET
    return bright if fits else None


def _drawn(ink: Ink) -> Floats:
    """Return the ink, all but black and white (0 and 1), its longer side ``CANVAS`` pixels."""
    height, width = ink.values.shape
    scale = max(height, width) / CANVAS
    rows, columns = math.ceil(height / scale), math.ceil(width / scale)
    large = _scaled(ink.values, (0, rows * scale, rows), (0, columns * scale, columns))
    return np.clip((large / ink.full - PALE) / (DARK - PALE), 0, 1)


def _with_usual_strokes(drawn: Floats) -> Floats:
    side = max(high - low for low, high in (_extent(drawn.sum(axis=axis)) for axis in (0, 1)))
    unit = side / BOX
    width = stroke_width(drawn) / unit
    wanted = min(max(width, THIN), THICK)
    radius = abs(wanted - width) * unit / 2
    if radius < 0.5:
        return drawn
    return _grown(drawn, radius) if wanted > width else 1 - _grown(1 - drawn, radius, outside=1)


def stroke_width(drawn: Floats) -> float:
    """Return the mean width of strokes: twice their area by the length of their outline.

    Steps between pixels overestimate an outline, by 4/π on average over all directions.
    """
    padded = np.zeros((drawn.shape[0] + 2, drawn.shape[1] + 2))
    padded[1:-1, 1:-1] = drawn
    down, across = padded[1:] - padded[:-1], padded[:, 1:] - padded[:, :-1]
    steps = np.abs(down, out=down).sum() + np.abs(across, out=across).sum()
    return float(2 * drawn.sum() / (steps * math.pi / 4))


def _grown(drawn: Floats, radius: float, outside: float = 0) -> Floats:
    """Return the greatest value within ``radius`` of each pixel, on a canvas larger by it."""
    reach = math.floor(radius)
    height, width = (length + 2 * reach for length in drawn.shape)
    padded = np.full((height + 2 * reach, width + 2 * reach), float(outside))
    padded[2 * reach : height, 2 * reach : width] = drawn
    grown = np.zeros((height, width))
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            if down * down + right * right <= radius * radius:
                top, left = reach + down, reach + right
                np.maximum(grown, padded[top : top + height, left : left + width], out=grown)
    return grown


def _extent(profile: Floats) -> tuple[int, int]:
    """Return from where up to where there is half a pixel of ink or more."""
    inked = np.nonzero(profile >= 0.5)[0]
    return (int(inked[0]), int(inked[-1]) + 1) if inked.size else (0, len(profile))


def _around(extent: tuple[int, int], side: int) -> tuple[float, float, int]:
    middle = (extent[0] + extent[1]) / 2
    return middle - side / 2, middle + side / 2, BOX


def _scaled(
    values: Floats, down: tuple[float, float, int], across: tuple[float, float, int]
) -> Floats:
    rows = _shares(values.shape[0], *down)
    columns = _shares(values.shape[1], *across)
    return rows @ values @ columns.T


def _shares(length: int, low: float, high: float, count: int) -> Floats:
    """Return the shares, (count, length), of ``length`` pixels in ``count`` of those that the
    stretch from ``low`` to ``high`` is divided into.

    Each is the mean of an area as wide as itself, so that nothing is lost, but at least one pixel
    wide: enlarged, that is linear interpolation. Outside there is nothing.
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


def _centred(pixels: Image28) -> Image28:
    result = np.zeros((SIDE, SIDE), dtype=np.uint8)
    values = pixels.astype(np.float64)
    top, left = (_offset(_middle(values.sum(axis=axis))) for axis in (1, 0))
    result[top : top + BOX, left : left + BOX] = pixels
    return result


def _middle(profile: Floats) -> float:
    """Return the centre of mass; a pixel's own is half a pixel from its edge."""
    return float((profile * (np.arange(len(profile)) + 0.5)).sum() / profile.sum())


def _offset(middle: float) -> int:
    """Return where the box begins: its centre of mass falls into pixel 14, as MNIST's do."""
    return min(max(math.ceil(SIDE / 2 - middle), 0), SIDE - BOX)
