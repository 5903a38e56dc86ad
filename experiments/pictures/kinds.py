"""Kinds of pictures: each function draws the ink of one digit as such a picture.

``KINDS`` are the basic kinds; ``HARDER`` adds scans, forms, squared paper, chalk and haste.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from pictures.strokes import trimmed

Floats: TypeAlias = npt.NDArray[np.float64]
Bytes: TypeAlias = npt.NDArray[np.uint8]
Random: TypeAlias = np.random.Generator

MARGIN = 90  # pixels added around a picture before it is cropped


def placed(ink: Floats, side: int, rng: Random) -> Floats:
    """Return ``ink`` somewhere on an empty square of ``side`` pixels."""
    height, width = ink.shape
    canvas = np.zeros((max(side, height), max(side, width)))
    top = rng.integers(canvas.shape[0] - height + 1)
    left = rng.integers(canvas.shape[1] - width + 1)
    canvas[top : top + height, left : left + width] = ink
    return canvas


def on_plain_background(ink: Floats, rng: Random) -> Bytes:
    """Return ink on a plain background, dark on light or light on dark."""
    paper, pen = (255.0, 0.0) if rng.random() < 0.5 else (rng.uniform(170, 255), rng.uniform(0, 90))
    if rng.random() < 0.5:
        paper, pen = 255 - paper, 255 - pen
    return to_bytes(paper + (pen - paper) * ink)


def transparent(ink: Floats, rng: Random) -> Bytes:
    """Return RGBA: ink of any colour on a transparent background."""
    colour = rng.choice([0, 255]) if rng.random() < 0.6 else rng.integers(0, 256, 3)
    rgba = np.zeros((*ink.shape, 4), dtype=np.uint8)
    rgba[..., :3] = colour
    rgba[..., 3] = to_bytes(ink * 255)
    if rng.random() < 0.5:
        rgba[rgba[..., 3] == 0, :3] = 0 if rng.random() < 0.5 else 255
    return rgba


def noisy(ink: Floats, rng: Random) -> Bytes:
    """Return ink with Gaussian noise or specks, dark on light or light on dark."""
    grey = on_plain_background(ink, rng).astype(np.float64)
    if rng.random() < 0.6:
        return to_bytes(grey + rng.normal(0, rng.uniform(5, 40), ink.shape))
    specks = rng.random(ink.shape) < rng.uniform(0.001, 0.02)
    grey[specks] = rng.choice([0, 255], specks.sum())
    return to_bytes(grey)


def jpeg(ink: Floats, rng: Random) -> Bytes:
    """Return ink, slightly blurred, compressed as a JPEG of low quality."""
    blurred = ndimage.gaussian_filter(ink, rng.uniform(0.0, 0.012) * max(ink.shape))
    return through_jpeg(on_plain_background(blurred, rng), rng)


def through_jpeg(grey: Bytes, rng: Random, quality: tuple[int, int] = (15, 80)) -> Bytes:
    """Return ``grey`` after JPEG compression with a quality in this range."""
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "JPEG", quality=int(rng.integers(*quality)))
    return np.asarray(Image.open(file))


def photographed(ink: Floats, rng: Random) -> Bytes:
    """Return pencil on paper in uneven light: fall-off, grain, blur, noise, JPEG."""
    return through_jpeg(to_bytes(pencil(ink, lit(ink.shape, rng), rng)), rng)


def shaded(ink: Floats, rng: Random) -> Bytes:
    """Return a photograph with the soft edge of a shadow across it."""
    light = lit(ink.shape, rng)
    y, x = axes(ink.shape)
    angle = rng.uniform(0, 2 * math.pi)
    across = math.cos(angle) * x + math.sin(angle) * y - rng.uniform(-0.6, 0.6)
    shadow = 1 / (1 + np.exp(-across / rng.uniform(0.03, 0.3)))
    return to_bytes(pencil(ink, light * (1 - rng.uniform(0.1, 0.35) * shadow), rng))


def ruled(ink: Floats, rng: Random) -> Bytes:
    """Return pencil on paper with faint ruled or squared lines."""
    light = lit(ink.shape, rng)
    distance = max(6, int(rng.uniform(0.12, 0.3) * max(ink.shape)))
    line = np.zeros(ink.shape)
    for axis in (0, 1) if rng.random() < 0.5 else (0,):
        at = (np.arange(ink.shape[axis]) + rng.integers(distance)) % distance < max(
            1, distance // 24
        )
        line += at[:, None] if axis == 0 else at[None, :]
    return to_bytes(pencil(ink, light - rng.uniform(5, 22) * np.minimum(line, 1), rng))


def lit(shape: tuple[int, ...], rng: Random) -> Floats:
    """Return grainy paper in light that falls off to one side and to the corners."""
    y, x = axes(shape)
    angle, fall = rng.uniform(0, 2 * math.pi), rng.uniform(0, 0.3)
    light = 1 - fall * (0.5 + 0.35 * (math.cos(angle) * x + math.sin(angle) * y))
    light *= 1 - rng.uniform(0, 0.25) * (x * x + y * y) / 2
    grain = ndimage.gaussian_filter(rng.normal(0, 1, shape), rng.uniform(0.6, 2.0))
    return rng.uniform(150, 250) * light + rng.uniform(0, 4) * grain / max(grain.std(), 1e-9)


def pencil(ink: Floats, paper: Floats, rng: Random) -> Floats:
    """Return paper with a pencil stroke of uneven pressure, slight blur, and noise."""
    side = max(ink.shape)
    texture = ndimage.gaussian_filter(rng.normal(0, 1, ink.shape), rng.uniform(0.5, 1.5))
    pressure = np.clip(1 + rng.uniform(0, 0.25) * texture / texture.std(), 0.2, 1.3)
    drawn = ndimage.gaussian_filter(ink * pressure, rng.uniform(0, 0.006) * side)
    grey = paper * (1 - rng.uniform(0.25, 0.75) * drawn)
    return grey + rng.normal(0, rng.uniform(0.5, 8), ink.shape)


def framed(ink: Floats, rng: Random) -> Bytes:
    """Return a white sheet on a dark table, or a drawing area with a line around it."""
    side = max(ink.shape)
    if rng.random() < 0.5:
        border = max(2, int(rng.uniform(0.03, 0.12) * side))
        sheet = np.pad(on_paper(ink), border, constant_values=rng.integers(20, 90))
        return to_bytes(sheet + rng.normal(0, 3, sheet.shape))
    return to_bytes(
        np.pad(on_paper(ink), max(1, side // 150), constant_values=rng.integers(0, 160))
    )


def on_paper(ink: Floats) -> Floats:
    """Return black ink on white."""
    return 255 * (1 - ink)


def axes(shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Return y and x of each pixel, from -1 to 1."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    return y, x


def to_bytes(values: Floats) -> Bytes:
    """Return grey levels, rounded and kept within 0 to 255."""
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


Kind: TypeAlias = Callable[[Floats, Random], npt.NDArray[Any]]
KINDS: dict[str, Kind] = {
    "plain": on_plain_background,
    "transparent": transparent,
    "noisy": noisy,
    "JPEG": jpeg,
    "photographed pencil": photographed,
    "with a shadow": shaded,
    "ruled paper": ruled,
    "framed": framed,
}


def bilevel(ink: Floats, rng: Random) -> Bytes:
    """Return what a mouse draws without anti-aliasing: two colours."""
    return on_plain_background((ink > 0.5).astype(np.float64), rng)


def scanned(ink: Floats, rng: Random) -> Bytes:
    """Return a scan: nearly white paper, a dark band along one side, specks of dust."""
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
    """Return a photograph with dark corners."""
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


def with_gaps(ink: Floats, rng: Random) -> Bytes:
    """Return a pencil stroke with gaps."""
    grain = ndimage.gaussian_filter(
        rng.normal(0, 1, ink.shape), 0.004 * max(ink.shape) + rng.uniform(0.3, 1)
    )
    kept = np.clip(1.2 + 1.5 * (grain / grain.std() + rng.uniform(0, 0.8)), 0, 1)
    return photographed_on(lit(ink.shape, rng), ink * kept, rng)


def faint(ink: Floats, rng: Random) -> Bytes:
    """Return ink with little contrast on evenly lit paper, with little noise."""
    paper, contrast = rng.uniform(120, 240), rng.uniform(14, 40)
    grey = paper - contrast * ink + rng.normal(0, rng.uniform(0.3, 1.5), ink.shape)
    return to_bytes(grey if rng.random() < 0.5 else 255 - grey)


def cropped(ink: Floats, rng: Random) -> Bytes:
    """Return a photograph cropped close to the digit."""
    rows, columns = (np.nonzero(ink.max(axis=axis) > 0.3)[0] for axis in (1, 0))
    wide, beyond = np.pad(ink, MARGIN), rng.integers(0, max(2, len(rows) // 12), 4)
    top, bottom = MARGIN + rows[0] - beyond[0], MARGIN + rows[-1] + 1 + beyond[1]
    left, right = MARGIN + columns[0] - beyond[2], MARGIN + columns[-1] + 1 + beyond[3]
    part = wide[top:bottom, left:right]
    return photographed_on(lit(part.shape, rng), part, rng)


def touching(ink: Floats, rng: Random) -> Bytes:
    """Return a drawing that touches the frame around it."""
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
    """Return a scan of a form: a printed box around the digit, with paper around it."""
    side = max(ink.shape)
    line = max(1, round(rng.uniform(0.006, 0.02) * side))
    boxed = np.pad(ink, round(0.05 * side))
    boxed = np.pad(boxed, line, constant_values=rng.uniform(0.4, 1))
    whole = np.pad(boxed, round(rng.uniform(0.04, 0.2) * side) + 1)
    grey = rng.uniform(225, 255) - rng.uniform(120, 220) * whole
    return to_bytes(grey + rng.normal(0, rng.uniform(0, 3), whole.shape))


def photographed_on(paper: Floats, ink: Floats, rng: Random) -> Bytes:
    """Return pencil on ``paper``, an image of lit paper."""
    return to_bytes(pencil(ink, paper, rng))


HARDER: dict[str, Kind] = {
    "two colours": bilevel,
    "scanned": scanned,
    "chalk": chalked,
    "vignette": vignetted,
    "squared paper": squared,
    "worn pencil": with_gaps,
    "faint": faint,
    "cut tightly": cropped,
    "touching a frame": touching,
    "in a form's field": in_a_field,
}
