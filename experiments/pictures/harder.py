"""Harder kinds of pictures: what scanners, forms, squared paper, chalk and haste add to the ink."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from pictures.kinds import (
    Bytes,
    Floats,
    Kind,
    Random,
    axes,
    lit,
    on_paper,
    on_plain,
    pencil,
    through_jpeg,
    to_bytes,
)
from pictures.strokes import trimmed

WIDER = 90  # pixels around a picture that is cut again


def bilevel(ink: Floats, rng: Random) -> Bytes:
    """Return what a mouse draws without anti-aliasing: two colours."""
    return on_plain((ink > 0.5).astype(np.float64), rng)


def scanned(ink: Floats, rng: Random) -> Bytes:
    """Return a scan: paper nearly white, a dark band along one side, and specks of dust."""
    grey = rng.uniform(225, 250) - ndimage.gaussian_filter(ink, rng.uniform(0, 1.2)) * rng.uniform(
        90, 220
    )
    band = max(1, round(rng.uniform(0.005, 0.04) * len(grey)))
    fall = np.exp(-np.arange(len(grey)) / band)[:, None] * rng.uniform(30, 180)
    grey = np.rot90(np.rot90(grey, k := int(rng.integers(4))) - fall, -k)
    for _ in range(rng.integers(6)):
        y, x = (int(rng.integers(length)) for length in ink.shape)
        size = max(1, round(rng.uniform(0.004, 0.012) * max(ink.shape)))
        grey[y : y + size, x : x + size] -= rng.uniform(60, 160)
    return to_bytes(grey + rng.normal(0, rng.uniform(0.5, 4), ink.shape))


def chalked(ink: Floats, rng: Random) -> Bytes:
    """Return a photograph of chalk on a board in uneven light."""
    return to_bytes(255 - photographed_on(lit(ink.shape, rng), ink, rng))


def vignetted(ink: Floats, rng: Random) -> Bytes:
    """Return a photograph whose corners get much less light than its middle."""
    y, x = axes(ink.shape)
    light = 1 - rng.uniform(0.3, 0.65) * (x * x + y * y) / 2
    return through_jpeg(to_bytes(photographed_on(lit(ink.shape, rng) * light, ink, rng)), rng)


def squared(ink: Floats, rng: Random) -> Bytes:
    """Return pencil on paper with printed squares, up to half as dark as the pencil."""
    distance = max(7, int(rng.uniform(0.15, 0.35) * max(ink.shape)))
    thick = max(1.0, distance * rng.uniform(0.02, 0.06))
    lines = [
        (np.arange(length) + rng.integers(distance)) % distance < thick for length in ink.shape
    ]
    printed = (lines[0][:, None] | lines[1][None, :]).astype(np.float64)
    soft = ndimage.gaussian_filter(printed, rng.uniform(0, 0.7))
    contrast, share = rng.uniform(0.35, 0.7), rng.uniform(0.2, 0.5)
    paper = lit(ink.shape, rng) * (1 - contrast * share * soft)
    drawn = ndimage.gaussian_filter(ink, rng.uniform(0, 0.8))
    return to_bytes(paper * (1 - contrast * drawn) + rng.normal(0, rng.uniform(0.5, 5), ink.shape))


def worn(ink: Floats, rng: Random) -> Bytes:
    """Return pencil that the paper's tooth, or a hurried hand, interrupts."""
    grain = ndimage.gaussian_filter(
        rng.normal(0, 1, ink.shape), 0.004 * max(ink.shape) + rng.uniform(0.3, 1)
    )
    kept = np.clip(1.2 + 1.5 * (grain / grain.std() + rng.uniform(0, 0.8)), 0, 1)
    return photographed_on(lit(ink.shape, rng), ink * kept, rng)


def faint(ink: Floats, rng: Random) -> Bytes:
    """Return ink that hardly differs from its evenly lit paper, with little noise."""
    paper, contrast = rng.uniform(120, 240), rng.uniform(14, 40)
    grey = paper - contrast * ink + rng.normal(0, rng.uniform(0.3, 1.5), ink.shape)
    return to_bytes(grey if rng.random() < 0.5 else 255 - grey)


def cropped(ink: Floats, rng: Random) -> Bytes:
    """Return a photograph that is cut close to the digit, or at it."""
    rows, columns = (np.nonzero(ink.max(axis=axis) > 0.3)[0] for axis in (1, 0))
    wide, beyond = np.pad(ink, WIDER), rng.integers(0, max(2, len(rows) // 12), 4)
    top, bottom = WIDER + rows[0] - beyond[0], WIDER + rows[-1] + 1 + beyond[1]
    left, right = WIDER + columns[0] - beyond[2], WIDER + columns[-1] + 1 + beyond[3]
    part = wide[top:bottom, left:right]
    return photographed_on(lit(part.shape, rng), part, rng)


def touching(ink: Floats, rng: Random) -> Bytes:
    """Return a drawing that runs into the line around its drawing area."""
    part = trimmed(ink, 0.3)
    sides = [(0, 0), (0, 0)]
    for axis in (0, 1):
        more = [round(rng.uniform(0.1, 0.5) * max(part.shape)) for _ in range(2)]
        sides[axis] = (more[0], more[1])
    axis = int(rng.integers(2))
    sides[axis] = (0, sides[axis][1]) if rng.random() < 0.5 else (sides[axis][0], 0)
    line = max(1, round(rng.uniform(0.004, 0.015) * max(part.shape)))
    return to_bytes(np.pad(on_paper(np.pad(part, sides)), line, constant_values=rng.integers(160)))


def in_a_field(ink: Floats, rng: Random) -> Bytes:
    """Return a scan of a form: a printed box around the digit, and paper around that."""
    side = max(ink.shape)
    line = max(1, round(rng.uniform(0.006, 0.02) * side))
    boxed = np.pad(ink, round(0.05 * side))
    boxed = np.pad(boxed, line, constant_values=rng.uniform(0.4, 1))
    whole = np.pad(boxed, round(rng.uniform(0.04, 0.2) * side) + 1)
    grey = rng.uniform(225, 255) - rng.uniform(120, 220) * whole
    return to_bytes(grey + rng.normal(0, rng.uniform(0, 3), whole.shape))


def photographed_on(paper: Floats, ink: Floats, rng: Random) -> Bytes:
    """Return pencil on a paper that is lit already."""
    return to_bytes(pencil(ink, paper, rng))


HARDER: dict[str, Kind] = {
    "two colours": bilevel,
    "scanned": scanned,
    "chalk": chalked,
    "vignette": vignetted,
    "squared paper": squared,
    "worn pencil": worn,
    "faint": faint,
    "cut tightly": cropped,
    "touching a frame": touching,
    "in a form's field": in_a_field,
}
