"""Find the ink of each digit in a grey picture, whether ink or paper is darker."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from kilonet.preprocessing.background import (
    Foreground,
    subtract_background,
    subtract_two_classes,
    subtract_uneven_light,
)
from kilonet.preprocessing.components import (
    MIN_SIDE,
    Box,
    Component,
    Components,
    DigitRegion,
    Mask,
    connected_components,
    group_digits,
)
from kilonet.preprocessing.decode import Bytes, GreyPicture
from kilonet.preprocessing.errors import BlankError, NoiseError, PictureError, TooSmallError
from kilonet.preprocessing.filters import mean_3x3
from kilonet.preprocessing.frame import border_lines, inside_frame, inside_window, is_cut_off
from kilonet.preprocessing.lines import remove_ruled_lines

Floats: TypeAlias = npt.NDArray[np.float64]

WORKING_SIDE = 112  # pixels: pictures are scaled down to the area of a square of this side
FINE_SIDE = 40  # pixels: a smaller digit in a scaled-down picture is segmented again, enlarged
MARGIN = 0.35  # of the digit's longer side, around a digit that is segmented again
MIN_INK_SIDE = 6  # pixels of the original picture: the least size of a digit
CLEAR = 14.0  # times the noise: with less contrast, the means of 3×3 pixels are tried
MAX_SMOOTH_NOISE = 0.75  # of the noise, that these means may have
MIN_CONTRAST = 2.0  # times the threshold: with less, two classes of grey levels are tried
MAX_CLASSES_SIDE = 40  # pixels: larger pictures show enough paper to measure its noise
MAX_FAINT_BORDER = 0.1  # of the picture's border that faint strokes cover
FAINT_CONTRAST = (5.0, 40.0)  # grey levels: of faint ink
STRONG_NOISE = 8.0  # grey levels: a picture with more, and no ink, is noise and not blank
INK_SHARE = 0.4  # of the contrast: pixels above this are ink
WEAK_STD = 2.5  # standard deviations of the noise that pixels near ink exceed to be ink as well,
WEAK_REACH = 4  # up to this many pixels away
MAX_SHADOW_BORDER = 0.15  # of the picture's border that ink covers; more may be a shadow
MIN_SIDE_IN_NOISE = 9  # pixels of the scaled-down picture: the least size of a digit in noise
MAX_NOISE = 70.0  # grey levels of standard deviation
MAX_RUNS = 6  # per row of pixels: no digit crosses a row more often
MAX_STROKES = 12  # components of one digit
MIN_DIGIT_SHARE = 0.3  # of the ink's weight that must belong to digits
SHEET_SIDE = 0.5  # of the picture's sides: a sheet of paper is longer than this,
MIN_SHEET_SIDE = 20  # longer than this many pixels of the scaled-down picture,
SHEET_BORDER = 0.8  # and fills this much of its box's border
MAX_FIELD_AREA = 0.4  # of its box: a printed field fills no more
MAX_EMPTY_AREA = 0.2  # of its box: a field that fills no more is not a digit in thick strokes
SHEET_INSET = 0.03  # of the longer side: the distance from the border of a sheet to its inside
FIELD_INSET = 0.05  # likewise, for a printed field


@dataclass(frozen=True, eq=False)
class DigitInk:
    """The ink of one digit, (H, W) with a margin of zeros, and the value of full ink.

    ``cut_off`` says that a stroke leaves the picture.
    """

    values: Floats
    full: float
    cut_off: bool = False


def find_digits(picture: GreyPicture) -> list[DigitInk]:
    """Return the digits of ``picture``, left to right; at least one.

    Raises:
        BlankError, NoiseError, TooSmallError: there is none.
    """
    height, width = picture.grey.shape
    if max(height, width) < MIN_INK_SIDE:
        raise TooSmallError(picture.name, max(height, width), MIN_INK_SIDE)
    return _find(picture, whole=True)


def _find(
    picture: GreyPicture, *, whole: bool = False, nested: bool = False, near: float | None = None
) -> list[DigitInk]:
    """Return all digits; with ``near``, only the digit closest to that column.

    Frames are looked for in a ``whole`` picture only, sheets of paper not in one that is ``nested``
    in another.
    """
    height, width = picture.grey.shape
    step = max(1, math.ceil(math.sqrt(height * width) / WORKING_SIDE))
    grey = downscale(picture.grey, step)
    if whole and (inside := inside_frame(grey) or inside_window(grey)) is not None:
        return _find(_crop(picture, inside, step, 0))
    grey = remove_ruled_lines(grey, bounded=near is not None)
    foreground, components, noisy = _find_ink(grey, picture.name)
    for sheet, inset in [] if nested else _paper_sheets(foreground, components):
        try:
            return _find(_crop(picture, sheet, step, -inset), nested=True)
        except PictureError:
            if inset == FIELD_INSET and sheet.area <= MAX_EMPTY_AREA * sheet.width * sheet.height:
                raise  # an empty field
            # Otherwise it was not a sheet but a digit in thick strokes.
    digits = group_digits(components.items, components.shape)
    if not digits:
        raise BlankError(picture.name, even=True)
    _check_size(max(digit.side for digit in digits), step, noisy, picture.name)
    _check_strokes(digits, components, picture.name)
    if near is not None:
        digits = [min(digits, key=lambda digit: abs((digit.x0 + digit.x1) * step / 2 - near))]
    inks = [_extract(picture, digit, step, foreground.values, components) for digit in digits]
    if not whole:
        return inks
    return [
        replace(
            ink, cut_off=is_cut_off(digit, components.mask(digit.components), foreground.values)
        )
        for ink, digit in zip(inks, digits, strict=True)
    ]


def _find_ink(grey: Floats, name: str) -> tuple[Foreground, Components, bool]:
    """Return the picture without its paper, the components of ink, and whether noise is strong."""
    foreground = subtract_background(grey)
    noise = foreground.noise
    if noise <= MAX_NOISE and foreground.contrast < CLEAR * noise:
        smooth = subtract_background(mean_3x3(grey))
        if not foreground.contrast or smooth.noise < MAX_SMOOTH_NOISE * noise:
            foreground = smooth  # else smoothing has turned thin strokes into noise
    if noise > STRONG_NOISE and (lit := subtract_uneven_light(grey, foreground.snr)):
        foreground, noise = lit, lit.noise
    if foreground.contrast < MIN_CONTRAST * foreground.threshold:
        faint = _faint_ink(grey, foreground.snr)
        classes = subtract_two_classes(grey) if max(grey.shape) < MAX_CLASSES_SIDE else None
        foreground = classes or faint or foreground
    if not foreground.contrast:
        raise NoiseError(name) if noise > STRONG_NOISE else BlankError(name, even=not np.ptp(grey))
    if _border_share(foreground) > MAX_SHADOW_BORDER:
        foreground = _faint_ink(grey, 0) or foreground
    mask = _ink_mask(foreground)
    return foreground, connected_components(mask, foreground.values), noise > STRONG_NOISE


def _border_share(foreground: Foreground) -> float:
    """Return the share of the picture's border that is ink."""
    border = np.concatenate(border_lines(foreground.values))
    return float((border > max(foreground.threshold, INK_SHARE * foreground.contrast)).mean())


def _ink_mask(foreground: Foreground) -> Mask:
    """Return which pixels are ink: clear ones, and in noise also weaker ones that continue them.

    Two thresholds as in J. Canny, IEEE Transactions on Pattern Analysis and Machine Intelligence
    8(6), 1986.
    """
    least = INK_SHARE * foreground.contrast
    ink = foreground.values > max(foreground.threshold, least)
    if foreground.threshold > least:
        weak = foreground.values > max(WEAK_STD * foreground.noise, least)
        for _ in range(WEAK_REACH):
            ink = _dilate(ink) & weak
    return ink


def _faint_ink(grey: Floats, min_snr: float) -> Foreground | None:
    """Return the picture without paper in uneven light; None unless faint strokes are left."""
    for smooth in (mean_3x3(grey), grey):
        faint = subtract_uneven_light(smooth, min_snr, FAINT_CONTRAST)
        if faint:
            border = np.concatenate(border_lines(faint.values))
            if (border > faint.threshold).mean() < MAX_FAINT_BORDER:  # else it is a shadow
                return faint
    return None


def _check_size(side: int, step: int, noisy: bool, name: str) -> None:
    if noisy and side < MIN_SIDE_IN_NOISE:
        raise NoiseError(name)
    if side * step < MIN_INK_SIDE:
        raise TooSmallError(name, side * step, MIN_INK_SIDE)


def _check_strokes(digits: list[DigitRegion], components: Components, name: str) -> None:
    """Raise ``NoiseError`` if the ink is too scattered or too fragmented for strokes."""
    weight = sum(digit.weight for digit in digits)
    runs = max(sum(part.runs for part in digit.components) / digit.height for digit in digits)
    strokes = max(len(digit.components) for digit in digits)
    speck = MIN_SIDE * max(part.side for digit in digits for part in digit.components)
    share = weight / sum(item.weight for item in components.items if item.side >= speck)
    if share < MIN_DIGIT_SHARE or runs > MAX_RUNS or strokes > MAX_STROKES:
        raise NoiseError(name)


# Sheets of paper and printed fields


def _paper_sheets(
    foreground: Foreground, components: Components
) -> Iterator[tuple[Component, float]]:
    """Yield possible sheets of paper and printed fields, with the inset to look inside.

    They are large, and cover the border of their box.
    """
    height, width = components.shape
    for item in components.items:
        if item.width < max(SHEET_SIDE * width, MIN_SHEET_SIDE) or (
            item.height < max(SHEET_SIDE * height, MIN_SHEET_SIDE)
        ):
            continue
        if _longest_run(item, components) < SHEET_BORDER * item.width:
            continue
        if _is_sheet(item, components):
            yield item, SHEET_INSET
        elif _is_field(item, foreground):
            yield item, FIELD_INSET


def _longest_run(component: Component, components: Components) -> int:
    lengths = components.stops - components.starts
    return int(lengths[components.owner == component.number].max())


def _is_sheet(component: Component, components: Components) -> bool:
    inset = math.ceil(SHEET_INSET * component.side)
    sheet = components.mask([component])[
        component.y0 + inset : component.y1 - inset, component.x0 + inset : component.x1 - inset
    ]
    return bool(np.concatenate(border_lines(sheet)).mean() >= SHEET_BORDER)


def _is_field(component: Component, foreground: Foreground) -> bool:
    """Return whether lines, however faint, follow the whole border of the box, and little else."""
    if component.area > MAX_FIELD_AREA * component.width * component.height:
        return False
    line = math.ceil(SHEET_INSET * component.side)
    y0, x0 = max(component.y0 - 1, 0), max(component.x0 - 1, 0)
    box = np.s_[y0 : component.y1 + 1, x0 : component.x1 + 1]
    ink = foreground.values[box] > foreground.threshold
    sides = (np.rot90(ink, quarter)[: line + 1] for quarter in range(4))
    return all(side.any(axis=0).mean() >= SHEET_BORDER for side in sides)


# Crops


def _extract(
    picture: GreyPicture, digit: DigitRegion, step: int, values: Floats, components: Components
) -> DigitInk:
    """Return the ink of one digit; a small one is segmented again at a higher resolution."""
    if step > 1 and digit.side < FINE_SIDE:
        closer = _crop(picture, digit, step, MARGIN)
        if closer.grey.size < picture.grey.size / 2:
            left = max(digit.x0 - math.floor(MARGIN * digit.side), 0)
            middle = ((digit.x0 + digit.x1) / 2 - left) * step
            return _find(closer, nested=True, near=middle)[0]
    mask = _dilate(components.mask(digit.components))
    top, left = max(digit.y0 - 1, 0), max(digit.x0 - 1, 0)
    box = np.s_[top : digit.y1 + 1, left : digit.x1 + 1]
    ink = np.where(mask[box], values[box], 0)
    full = float(np.square(ink).sum() / ink.sum())  # the mean, weighted by the values themselves
    return DigitInk(ink, full)


def _crop(picture: GreyPicture, box: Box, step: int, margin: float) -> GreyPicture:
    around = math.floor(margin * box.side)
    y0, x0 = (max(start - around, 0) * step for start in (box.y0, box.x0))
    y1, x1 = ((stop + around) * step for stop in (box.y1, box.x1))
    return GreyPicture(picture.name, picture.grey[y0:y1, x0:x1])


def _dilate(mask: Mask) -> Mask:
    """Return ``mask`` with the eight neighbours of its pixels."""
    taller = mask.copy()
    taller[1:] |= mask[:-1]
    taller[:-1] |= mask[1:]
    wider = taller.copy()
    wider[:, 1:] |= taller[:, :-1]
    wider[:, :-1] |= taller[:, 1:]
    return wider


def downscale(grey: Bytes, step: int) -> Floats:
    """Return the means of blocks of ``step``×``step`` pixels, with the border replicated."""
    if step == 1:
        return grey.astype(np.float64)
    sums = _row_sums(_row_sums(grey, step).T, step).T
    return np.ascontiguousarray(sums) / float(step * step)


def _row_sums(values: npt.NDArray[Any], step: int) -> npt.NDArray[np.uint32]:
    """Return the sums of each ``step`` rows; the last row is repeated to fill the last sum."""
    whole = len(values) // step * step
    sums = np.zeros((-(-len(values) // step), *values.shape[1:]), dtype=np.uint32)
    for row in range(step):
        sums[: whole // step] += values[row:whole:step]
    if whole < len(values):
        sums[-1] = values[whole:].sum(axis=0, dtype=np.uint32)
        sums[-1] += np.uint32(whole + step - len(values)) * values[-1]
    return sums
