"""Finding the ink of each digit in grey pixels, whichever is darker, paper or ink."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from kilonet.preprocessing.background import Relief, smoothed, without_background
from kilonet.preprocessing.components import Box, Piece, Pieces, pieces_of
from kilonet.preprocessing.failures import BlankError, NoiseError, PictureError, TooSmallError
from kilonet.preprocessing.glyphs import SPECK_SIDE, Glyph, glyphs_of
from kilonet.preprocessing.light import in_uneven_light
from kilonet.preprocessing.lines import inside_bands, sides
from kilonet.preprocessing.opening import Grey, Picture

Floats: TypeAlias = npt.NDArray[np.float64]

WORKING_SIDE = 112  # pixels: the side of the square with as many as are looked at
FINE_SIDE = 40  # a digit smaller than this, in a picture scaled down, is looked at again
MARGIN = 0.35  # of its longer side, around a digit that is looked at again
LEAST_SIDE = 6  # pixels of ink below which digits cannot be told apart
CLEAR = 14.0  # times the paper's noise: ink with less contrast is looked for in means of 3×3
CALMER = 0.75  # of the noise, at most, those means must have
GRAINY = 8.0  # grey levels of noise, in which nothing stands out: no empty sheet
INK_SHARE = 0.4  # of the ink's own contrast, that counts as ink
LEAST_IN_NOISE = 9  # pixels of the picture as it is looked at, where noise is strong
ALL_NOISE = 70.0  # grey levels of standard deviation
RUNS_A_ROW = 6  # no digit crosses a row of pixels more often than this
MOST_STROKES = 12  # pieces that one digit falls into at most
HELD_TOGETHER = 0.3  # of what stands out must belong to digits
SHEET_SIDE = 0.5  # of the picture's sides: what is broader,
SHEET_LEAST = 20  # pixels of the picture as it is looked at,
SHEET_EDGE = 0.8  # and fills this much of its box's edge, is a sheet of paper
HOLLOW = 0.4  # of its box: a printed field fills no more
THIN_LINES = 0.2  # of its box: a field that fills no more is no fat digit
INSIDE = 0.03  # of its longer side: how far inside its box it is looked at
INSIDE_LINE = 0.05  # likewise, inside a printed line


@dataclass(frozen=True, eq=False)
class Ink:
    """One digit's ink, (H, W) with a margin of nothing around it, and the level of full ink."""

    values: Floats
    full: float


def find_digits(picture: Picture) -> list[Ink]:
    """Return the digits of ``picture``, left to right; at least one.

    Raises:
        BlankError, NoiseError, TooSmallError: there is none.
    """
    height, width = picture.grey.shape
    if max(height, width) < LEAST_SIDE:
        raise TooSmallError(picture.name, max(height, width), LEAST_SIDE)
    return _find(picture, whole=True)


def _find(
    picture: Picture, *, whole: bool = False, nested: bool = False, near: float | None = None
) -> list[Ink]:
    """Return all digits or, of a part of a picture, the one around its column ``near``.

    Only a ``whole`` picture has bands along its edge, and one ``nested`` in another no sheets.
    """
    height, width = picture.grey.shape
    step = max(1, math.ceil(math.sqrt(height * width) / WORKING_SIDE))
    grey = reduce(picture.grey, step)
    if whole and (inside := inside_bands(grey)) is not None:
        return _find(_cropped(picture, inside, step, 0))
    relief, pieces, grainy = _stands_out(grey, picture.name)
    for piece, margin in [] if nested else _sheets(relief, pieces):
        try:
            return _find(_cropped(picture, piece, step, -margin), nested=True)
        except PictureError:
            if margin == INSIDE_LINE and piece.area <= THIN_LINES * piece.width * piece.height:
                raise  # an empty field
            # Else it was no sheet of paper but a fat digit.
    glyphs = glyphs_of(pieces.pieces, pieces.shape)
    _check_size(max(glyph.side for glyph in glyphs), step, grainy, picture.name)
    _check_holds_together(glyphs, pieces, picture.name)
    if near is not None:
        glyphs = [min(glyphs, key=lambda glyph: abs((glyph.x0 + glyph.x1) * step / 2 - near))]
    return [_ink(picture, glyph, step, relief.values, pieces) for glyph in glyphs]


def _stands_out(grey: Floats, name: str) -> tuple[Relief, Pieces, bool]:
    """Return how much each pixel stands out, the pieces of ink, and whether noise is strong."""
    relief = without_background(grey)
    noise = relief.noise
    if noise <= ALL_NOISE and relief.contrast < CLEAR * noise:
        calmer = without_background(smoothed(grey))
        if not relief.contrast or calmer.noise < CALMER * noise:  # else thin ink has become noise
            relief = calmer
    if noise > GRAINY and (lit := in_uneven_light(grey, relief.clarity)):
        relief, noise = lit, lit.noise
    if not relief.contrast:
        raise NoiseError(name) if noise > GRAINY else BlankError(name)
    mask = relief.values > max(relief.least, INK_SHARE * relief.contrast)
    return relief, pieces_of(mask, relief.values), noise > GRAINY


def _check_size(side: int, step: int, grainy: bool, name: str) -> None:
    if grainy and side < LEAST_IN_NOISE:
        raise NoiseError(name)
    if side * step < LEAST_SIDE:
        raise TooSmallError(name, side * step, LEAST_SIDE)


def _check_holds_together(glyphs: list[Glyph], pieces: Pieces, name: str) -> None:
    weight = sum(glyph.weight for glyph in glyphs)
    runs = max(sum(piece.runs for piece in glyph.pieces) / glyph.height for glyph in glyphs)
    crowd = max(len(glyph.pieces) for glyph in glyphs)
    speck = SPECK_SIDE * max(piece.side for glyph in glyphs for piece in glyph.pieces)
    share = weight / sum(piece.weight for piece in pieces.pieces if piece.side >= speck)
    if share < HELD_TOGETHER or runs > RUNS_A_ROW or crowd > MOST_STROKES:
        raise NoiseError(name)


def _sheets(relief: Relief, pieces: Pieces) -> Iterator[tuple[Piece, float]]:
    """Yield what may be a sheet of paper or a printed field, and how far inside it to look.

    That is broad, and all there along the edge of its box.
    """
    height, width = pieces.shape
    for piece in pieces.pieces:
        if piece.width < max(SHEET_SIDE * width, SHEET_LEAST) or (
            piece.height < max(SHEET_SIDE * height, SHEET_LEAST)
        ):
            continue
        if _longest_run(piece, pieces) < SHEET_EDGE * piece.width:
            continue
        if _is_sheet(piece, pieces):
            yield piece, INSIDE
        elif _is_field(piece, relief):
            yield piece, INSIDE_LINE


def _longest_run(piece: Piece, pieces: Pieces) -> int:
    lengths = pieces.stops - pieces.starts
    return int(lengths[pieces.owner == piece.number].max())


def _is_sheet(piece: Piece, pieces: Pieces) -> bool:
    inside = math.ceil(INSIDE * piece.side)
    sheet = pieces.mask([piece])[
        piece.y0 + inside : piece.y1 - inside, piece.x0 + inside : piece.x1 - inside
    ]
    return bool(np.concatenate(sides(sheet)).mean() >= SHEET_EDGE)


def _is_field(piece: Piece, relief: Relief) -> bool:
    """Say whether lines, however faint, go all along the edge of a piece's box, and little else."""
    if piece.area > HOLLOW * piece.width * piece.height:
        return False
    line = math.ceil(INSIDE * piece.side)
    box = np.s_[max(piece.y0 - 1, 0) : piece.y1 + 1, max(piece.x0 - 1, 0) : piece.x1 + 1]
    stands_out = relief.values[box] > relief.least
    turned = (np.rot90(stands_out, quarter)[: line + 1] for quarter in range(4))
    return all(edge.any(axis=0).mean() >= SHEET_EDGE for edge in turned)


def _ink(picture: Picture, glyph: Glyph, step: int, values: Floats, pieces: Pieces) -> Ink:
    if step > 1 and glyph.side < FINE_SIDE:
        closer = _cropped(picture, glyph, step, MARGIN)
        if closer.grey.size < picture.grey.size / 2:
            left = max(glyph.x0 - math.floor(MARGIN * glyph.side), 0)
            middle = ((glyph.x0 + glyph.x1) / 2 - left) * step
            return _find(closer, nested=True, near=middle)[0]
    mask = _dilated(pieces.mask(glyph.pieces))
    top, left = max(glyph.y0 - 1, 0), max(glyph.x0 - 1, 0)
    box = np.s_[top : glyph.y1 + 1, left : glyph.x1 + 1]
    found = np.where(mask[box], values[box], 0)
    return Ink(found, _full(found))


def _full(values: Floats) -> float:
    """Return the level of full ink: the mean, each pixel weighed by its own value."""
    return float(np.square(values).sum() / values.sum())


def _cropped(picture: Picture, box: Box, step: int, margin: float) -> Picture:
    around = math.floor(margin * box.side)
    y0, x0 = (max(edge - around, 0) * step for edge in (box.y0, box.x0))
    y1, x1 = ((edge + around) * step for edge in (box.y1, box.x1))
    return Picture(picture.name, picture.grey[y0:y1, x0:x1])


def _dilated(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return ``mask`` with the eight neighbours of its pixels."""
    wider = mask.copy()
    wider[1:] |= mask[:-1]
    wider[:-1] |= mask[1:]
    across = wider.copy()
    across[:, 1:] |= wider[:, :-1]
    across[:, :-1] |= wider[:, 1:]
    return across


def reduce(grey: Grey, step: int) -> Floats:
    """Return the means of blocks of ``step`` by ``step`` pixels, the last ones filled up from the
    picture's edge."""
    if step == 1:
        return grey.astype(np.float64)
    sums = _sums(_sums(grey, step).T, step).T
    return np.ascontiguousarray(sums) / float(step * step)


def _sums(values: npt.NDArray[Any], step: int) -> npt.NDArray[np.uint32]:
    """Return the sums of each ``step`` rows; the last row is repeated as often as is missing."""
    whole = len(values) // step * step
    sums = np.zeros((-(-len(values) // step), *values.shape[1:]), dtype=np.uint32)
    for row in range(step):
        sums[: whole // step] += values[row:whole:step]
    if whole < len(values):
        sums[-1] = values[whole:].sum(axis=0, dtype=np.uint32)
        sums[-1] += np.uint32(whole + step - len(values)) * values[-1]
    return sums
