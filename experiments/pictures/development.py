"""The development set of picture preparation: many kinds of digits, and pictures without a digit.

The shapes are MNIST images that the caller gives (training images, held back from the network),
templates drawn with shaken points, and scikit-learn's scans.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn import datasets

from pictures.kinds import (
    HARDER,
    KINDS,
    Bytes,
    Floats,
    on_paper,
    photographed,
    placed,
    to_bytes,
)
from pictures.sheets import SHEETS, two_in_28
from pictures.strokes import enlarged, shape_of_image, shape_of_template, trimmed

SMALLEST, LARGEST = 28, 1050  # pixels: the sides of made pictures
Example = tuple[str, int, npt.NDArray[Any]]


def digits(
    images: Bytes, labels: npt.NDArray[np.int64], each: int, seed: int = 0
) -> Iterator[Example]:
    """Yield kind, digit and picture: ``each`` of every kind, a third of them from each source."""
    for name, kind in {**KINDS, **HARDER, **SHEETS}.items():
        for source in ("enlarged", "drawn anew", "templates"):
            rng = np.random.default_rng([seed, len(name), len(source)])
            for _ in range(each // 3):
                index = int(rng.integers(len(images)))
                label = int(labels[index])
                side = round(math.exp(rng.uniform(math.log(SMALLEST), math.log(LARGEST))))
                ink = _ink(source, images[index], label, side, rng)
                yield name, label, kind(placed(ink, side, rng), rng)
    rng = np.random.default_rng([seed, 1])
    for index in rng.permutation(len(images))[:each]:
        yield "MNIST as it is", int(labels[index]), images[index]
        yield "16×16, fitted tightly", int(labels[index]), fitted(images[index], 16)
        side = int(rng.integers(24, 48))
        yield "24 to 48 pixels, grey", int(labels[index]), small(images[index], side, rng)
    yield from scans(each, rng)


def _ink(source: str, image: Bytes, digit: int, side: int, rng: np.random.Generator) -> Floats:
    length = max(14, round(side * rng.uniform(0.4, 0.85)))
    if source == "enlarged":
        return enlarged(image, length)
    width = max(1.0, length * math.exp(rng.uniform(math.log(0.02), math.log(0.2))))
    length = round(length - width)
    shape = shape_of_image(image) if source == "drawn anew" else shape_of_template(digit, rng)
    return trimmed(shape.ink(length, width))


def fitted(image: Bytes, side: int) -> Bytes:
    """Return the digit alone, scaled to fill a square of ``side`` pixels."""
    digit = trimmed(image, 64)
    scale = side / max(digit.shape)
    size = tuple(max(1, round(length * scale)) for length in digit.shape)
    scaled = Image.fromarray(digit).resize(size[::-1], Image.Resampling.BILINEAR)
    square = np.zeros((side, side), dtype=np.uint8)
    top, left = (side - size[0]) // 2, (side - size[1]) // 2
    square[top : top + size[0], left : left + size[1]] = scaled
    return square


def small(image: Bytes, side: int, rng: np.random.Generator) -> Bytes:
    """Return the image scaled to ``side``, shifted, perhaps inverted, with a little noise."""
    scaled = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR))
    moved = np.roll(scaled, rng.integers(-side // 12, side // 12 + 1, 2), (0, 1)).astype(np.float64)
    moved += rng.normal(0, rng.uniform(0, 12), moved.shape)
    return to_bytes(255 - moved if rng.random() < 0.5 else moved)


def scans(each: int, rng: np.random.Generator) -> Iterator[Example]:
    """Yield scikit-learn's digits, 8×8 as they are and enlarged."""
    bunch = datasets.load_digits()
    for index in rng.permutation(len(bunch.images))[:each]:
        pixels, label = to_bytes(bunch.images[index] * (255 / 16)), int(bunch.target[index])
        yield "8×8 scans", label, pixels
        side = int(rng.integers(16, 300))
        large = Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)
        yield "8×8 scans, enlarged", label, np.asarray(large)


def no_digits(images: Bytes, each: int, seed: int = 0) -> Iterator[tuple[str, Bytes]]:
    """Yield the expected error ("blank", "noise", "too-small" or "several") and a picture."""
    rng = np.random.default_rng([seed, 2])
    for _ in range(each):
        side = round(math.exp(rng.uniform(math.log(SMALLEST), math.log(400))))
        yield "blank", np.full((side, side), rng.integers(256), dtype=np.uint8)
        yield "blank", SHEETS["in a window"](np.zeros((4 * side, 4 * side)), rng)
        yield "several", two_in_28(images, rng)
        yield "noise", rng.integers(0, 256, (side, side), dtype=np.uint8)
        dot = on_paper(np.ones((int(rng.integers(1, 6)), int(rng.integers(1, 6)))))
        yield "too-small", np.pad(dot.astype(np.uint8), side // 2, constant_values=255)
        height, count = max(24, side // 2), int(rng.integers(2, 5))
        inks = [enlarged(images[rng.integers(len(images))], height) for _ in range(count)]
        gap = round(height * rng.uniform(0.2, 0.6))
        row = np.hstack(
            [placed(np.pad(ink, gap // 2), 0, rng) for ink in _padded_to_one_height(inks)]
        )
        yield "several", to_bytes(on_paper(row)) if rng.random() < 0.5 else photographed(row, rng)


def _padded_to_one_height(inks: list[Floats]) -> list[Floats]:
    """Return the inks on one height."""
    height = max(ink.shape[0] for ink in inks)
    return [np.pad(ink, ((0, height - ink.shape[0]), (0, 0))) for ink in inks]
