"""Simulated phone photographs of paper, and digits at the border of the picture."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image
from scipy import ndimage

from pictures.kinds import (
    Bytes,
    Floats,
    Kind,
    Random,
    axes,
    lit,
    on_plain_background,
    photographed,
    through_jpeg,
    to_bytes,
)
from pictures.strokes import trimmed

MAX_SIDE = 1400  # pixels: of a made photograph


def paper_coordinates(shape: tuple[int, ...], rng: Random) -> tuple[Floats, Floats]:
    """Return y and x on the paper of each pixel, in pixels: tilt, perspective, perhaps a fold."""
    y, x = axes(shape)
    angle = math.radians(rng.uniform(-6, 6))
    depth = 1 + rng.uniform(-0.06, 0.06) * x + rng.uniform(-0.06, 0.06) * y
    u = (math.cos(angle) * x - math.sin(angle) * y) / depth
    v = (math.sin(angle) * x + math.cos(angle) * y) / depth
    if rng.random() < 0.3:
        across, bend = rng.uniform(0, math.pi), rng.uniform(-0.03, 0.03)
        fold = math.cos(across) * x + math.sin(across) * y - rng.uniform(-0.5, 0.5)
        u, v = u + bend * np.maximum(fold, 0), v + bend * np.abs(fold)
    return v * shape[0] / 2, u * shape[1] / 2


def printed_lines(position: Floats, distance: float, width: float, phase: float) -> Floats:
    """Return lines, 0 to 1, every ``distance`` pixels."""
    away = np.abs((position / distance + phase) % 1 - 0.5) * distance
    return np.clip(0.5 + width / 2 - away, 0, min(1, width))


def phone_photo(ink: Floats, lines: Floats, rng: Random) -> Bytes:
    """Return pencil or marker on printed paper: blur, noise, and JPEG as phones write it."""
    pen = rng.uniform(0.3, 0.9)
    darkness = pen * rng.uniform(0.2, 0.75)
    blur = rng.uniform(0.3, 0.004 * max(ink.shape) + 0.5)
    drawn, printed = (ndimage.gaussian_filter(part, blur) for part in (ink, lines))
    grey = lit(ink.shape, rng) * (1 - darkness * printed) * (1 - pen * drawn)
    grey += rng.normal(0, rng.uniform(0.5, 5), ink.shape)
    return through_jpeg(to_bytes(grey), rng, (60, 96))


def on_lines(ink: Floats, rng: Random, *, squares: bool) -> Bytes:
    """Return a digit on ruled or squared paper that is not straight."""
    around = round(rng.uniform(0, 1.2) * max(ink.shape))
    around = min(around, max(0, (MAX_SIDE - max(ink.shape)) // 2))
    ink = np.pad(ink, around)
    distance = max(8.0, rng.uniform(0.1, 0.3) * max(ink.shape))
    width = max(0.6, distance * rng.uniform(0.01, 0.05))
    positions = paper_coordinates(ink.shape, rng)
    parts = [printed_lines(p, distance, width, rng.random()) for p in positions]
    return phone_photo(ink, np.maximum(*parts) if squares else parts[0], rng)


def rotated_squared_paper(ink: Floats, rng: Random) -> Bytes:
    """Return a digit on squared paper that is not straight."""
    return on_lines(ink, rng, squares=True)


def ruled_askew(ink: Floats, rng: Random) -> Bytes:
    """Return a digit on ruled paper that is not straight."""
    return on_lines(ink, rng, squares=False)


def touching_the_border(ink: Floats, rng: Random) -> Bytes:
    """Return a whole digit that touches two to four sides of its picture, drawn or photographed."""
    part = trimmed(ink, 0.3)
    margins = [0, 0, *rng.integers(0, 2, 2) * rng.integers(1, max(2, max(part.shape) // 4), 2)]
    top, bottom, left, right = (int(margin) for margin in rng.permutation(margins))
    part = np.pad(part, ((top, bottom), (left, right)))
    return on_plain_background(part, rng) if rng.random() < 0.6 else photographed(part, rng)


def cut_off(ink: Floats, rng: Random) -> Bytes:
    """Return a digit that is cropped by 10 to 25 % on one side."""
    part = trimmed(ink, 0.3)
    rotated = np.rot90(part, quarter := int(rng.integers(4)))
    lost = max(1, round(rng.uniform(0.1, 0.25) * len(rotated)))
    more = max(2, round(rng.uniform(0.1, 0.4) * max(part.shape)))
    cut = np.pad(rotated[lost:], ((0, more), (more, more)))
    return on_plain_background(np.rot90(cut, -quarter), rng)


def window(ink: Floats, rng: Random) -> Bytes:
    """Return a paint program's window: bars along some sides, with words, around the drawing."""
    paper, pen = (0, 255) if rng.random() < 0.5 else (255, 0)
    grey = paper + (pen - paper) * ink
    side = max(grey.shape)
    bar = max(4, round(rng.uniform(0.05, 0.12) * side))
    shade = abs(paper - int(rng.integers(20, 70)))
    top = np.full((bar, grey.shape[1]), float(shade))
    for left in range(bar // 2, grey.shape[1] - bar, 2 * bar):
        top[bar // 3 : bar - bar // 3, left : left + bar : 2] = 255 - paper
    bottom = np.full((max(2, bar // 3), grey.shape[1]), abs(paper - rng.integers(60, 160)))
    return to_bytes(np.concatenate([top, grey, bottom]))


def hand_shadow(ink: Floats, rng: Random) -> Bytes:
    """Return a photograph with the fairly sharp shadow of a hand or phone on one side."""
    y, x = axes(ink.shape)
    angle = rng.uniform(0, 2 * math.pi)
    across = math.cos(angle) * x + math.sin(angle) * y + 0.15 * np.sin(3 * x + rng.uniform(0, 6))
    shadow = 1 / (1 + np.exp(-(across - rng.uniform(-0.2, 0.6)) / rng.uniform(0.01, 0.05)))
    light = lit(ink.shape, rng) * (1 - rng.uniform(0.2, 0.5) * shadow)
    grey = light * (1 - rng.uniform(0.4, 0.85) * ndimage.gaussian_filter(ink, 0.7))
    return through_jpeg(
        to_bytes(grey + rng.normal(0, rng.uniform(0.5, 4), ink.shape)), rng, (60, 96)
    )


def faint_pencil(ink: Floats, rng: Random) -> Bytes:
    """Return a photograph of pencil that is hardly darker than its paper."""
    light = lit(ink.shape, rng)
    grey = light * (1 - rng.uniform(0.08, 0.16) * ndimage.gaussian_filter(ink, 0.6))
    return through_jpeg(
        to_bytes(grey + rng.normal(0, rng.uniform(0.5, 3), ink.shape)), rng, (70, 96)
    )


SHEETS: dict[str, Kind] = {
    "squared paper, askew": rotated_squared_paper,
    "ruled paper, askew": ruled_askew,
    "cut flush": touching_the_border,
    "cut off": cut_off,
    "in a window": window,
    "hand's shadow": hand_shadow,
    "faint pencil": faint_pencil,
}


def two_in_28(images: Bytes, rng: Random) -> Bytes:
    """Return two digits side by side in an image of MNIST's size."""
    result = np.zeros((28, 28), dtype=np.uint8)
    left = 3
    for _ in range(2):
        digit = trimmed(images[rng.integers(len(images))], 64)
        size = (min(10, max(3, round(digit.shape[1] * 18 / digit.shape[0]))), 18)
        small = np.asarray(Image.fromarray(digit).resize(size, Image.Resampling.BILINEAR))
        result[5:23, left : left + size[0]] = small
        left += size[0] + 2
    moved = np.roll(result, (28 - left - 1) // 2, axis=1)
    return moved if rng.random() < 0.5 else 255 - moved
