"""Kinds of pictures that people give: what each does to the ink of one digit."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

Floats: TypeAlias = npt.NDArray[np.float64]
Bytes: TypeAlias = npt.NDArray[np.uint8]
Random: TypeAlias = np.random.Generator


def placed(ink: Floats, side: int, rng: Random) -> Floats:
    """Return ``ink`` somewhere on an empty square of ``side`` pixels."""
    height, width = ink.shape
    canvas = np.zeros((max(side, height), max(side, width)))
    top = rng.integers(canvas.shape[0] - height + 1)
    left = rng.integers(canvas.shape[1] - width + 1)
    canvas[top : top + height, left : left + width] = ink
    return canvas


def on_plain(ink: Floats, rng: Random) -> Bytes:
    """Return ink on one grey, in either polarity, most often black and white."""
    paper, pen = (255.0, 0.0) if rng.random() < 0.5 else (rng.uniform(170, 255), rng.uniform(0, 90))
    if rng.random() < 0.5:
        paper, pen = 255 - paper, 255 - pen
    return to_bytes(paper + (pen - paper) * ink)


def transparent(ink: Floats, rng: Random) -> Bytes:
    """Return RGBA: ink of any colour on nothing."""
    colour = rng.choice([0, 255]) if rng.random() < 0.6 else rng.integers(0, 256, 3)
    rgba = np.zeros((*ink.shape, 4), dtype=np.uint8)
    rgba[..., :3] = colour
    rgba[..., 3] = to_bytes(ink * 255)
    if rng.random() < 0.5:
        rgba[rgba[..., 3] == 0, :3] = 0 if rng.random() < 0.5 else 255
    return rgba


def noisy(ink: Floats, rng: Random) -> Bytes:
    """Return ink under normal noise, or with specks, in either polarity."""
    grey = on_plain(ink, rng).astype(np.float64)
    if rng.random() < 0.6:
        return to_bytes(grey + rng.normal(0, rng.uniform(5, 40), ink.shape))
    specks = rng.random(ink.shape) < rng.uniform(0.001, 0.02)
    grey[specks] = rng.choice([0, 255], specks.sum())
    return to_bytes(grey)


def jpeg(ink: Floats, rng: Random) -> Bytes:
    """Return ink, a little blurred, after a JPEG of low quality."""
    blurred = ndimage.gaussian_filter(ink, rng.uniform(0.0, 0.012) * max(ink.shape))
    return through_jpeg(on_plain(blurred, rng), rng)


def through_jpeg(grey: Bytes, rng: Random) -> Bytes:
    """Return what a JPEG file keeps."""
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "JPEG", quality=int(rng.integers(15, 80)))
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
    """Return paper with its grain, in light that falls off to one side and to the corners."""
    y, x = axes(shape)
    angle, fall = rng.uniform(0, 2 * math.pi), rng.uniform(0, 0.3)
    light = 1 - fall * (0.5 + 0.35 * (math.cos(angle) * x + math.sin(angle) * y))
    light *= 1 - rng.uniform(0, 0.25) * (x * x + y * y) / 2
    grain = ndimage.gaussian_filter(rng.normal(0, 1, shape), rng.uniform(0.6, 2.0))
    return rng.uniform(150, 250) * light + rng.uniform(0, 4) * grain / max(grain.std(), 1e-9)


def pencil(ink: Floats, paper: Floats, rng: Random) -> Floats:
    """Return paper with pencil on it, of uneven pressure, a little out of focus, and noise."""
    side = max(ink.shape)
    tooth = ndimage.gaussian_filter(rng.normal(0, 1, ink.shape), rng.uniform(0.5, 1.5))
    pressure = np.clip(1 + rng.uniform(0, 0.25) * tooth / tooth.std(), 0.2, 1.3)
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
    "plain": on_plain,
    "transparent": transparent,
    "noisy": noisy,
    "JPEG": jpeg,
    "photographed pencil": photographed,
    "with a shadow": shaded,
    "ruled paper": ruled,
    "framed": framed,
}
