"""Write vectors.json: synthetic pictures, and the prepared images that they must give.

    python tests/preprocessing/write_vectors.py

The tests compare the Python and the JavaScript preparation with the file. Write it again only after
a decision to prepare pictures differently, and look at the differences.
"""

from __future__ import annotations

import base64
import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "experiments"))

from kilonet.files import write_text
from kilonet.preprocessing import PictureError, prepare, split
from pictures.kinds import HARDER, KINDS, Floats, axes, on_paper, photographed, placed, to_bytes
from pictures.sheets import SHEETS
from pictures.strokes import shape_of_template, trimmed

TARGET = Path(__file__).with_name("vectors.json")
Pixels = npt.NDArray[np.uint8]


def pictures() -> Iterator[tuple[str, Pixels]]:
    """Yield a name and a picture, (H, W) or (H, W, 4)."""
    for number, (name, kind) in enumerate(KINDS.items()):
        for side, width in ((40, 2.5), (64, 7.0), (150, 6.0)):
            rng = np.random.default_rng([number, side])
            digit = (3 * number + side) % 10
            yield f"{name}, {side} pixels", kind(ink(digit, side, width, rng), rng)
    for number, (name, kind) in enumerate(HARDER.items()):
        for side, width in ((36, 2.5), (90, 5.0)):
            rng = np.random.default_rng([100 + number, side])
            yield f"{name}, {side} pixels", kind(ink((number + side) % 10, side, width, rng), rng)
    for number, (name, kind) in enumerate(SHEETS.items()):
        for side, width in ((40, 3.0), (90, 5.0)):
            rng = np.random.default_rng([200 + number, side])
            yield f"{name}, {side} pixels", kind(ink((number + side) % 10, side, width, rng), rng)
    rng = np.random.default_rng(99)
    thin, fat = (ink(digit, 120, width, rng) for digit, width in ((2, 1.0), (8, 22.0)))
    yield "a hair line", to_bytes(on_paper(thin))
    yield "a fat marker", to_bytes(255 * fat)
    yield "cut tightly", to_bytes(255 * shape_of_template(5, rng).ink(16, 2.5)[8:24, 8:24])
    tiny = ink(3, 80, 12.0, rng, share=0.95).reshape(8, 10, 8, 10)
    yield "8 by 8", to_bytes(255 * tiny.mean(axis=(1, 3)))
    yield "prepared already", prepare(to_bytes(255 * ink(3, 80, 7.0, rng)))
    yield "and inverted", 255 - prepare(to_bytes(255 * ink(4, 80, 7.0, rng)))
    y, x = np.mgrid[-1:1:40j, -1:1:30j]
    zero = np.clip((0.3 - np.abs(np.hypot(x, y) - 0.78)) * 15, 0, 1)
    yield "cut tightly, noisy", to_bytes(20 + zero * 200 + rng.normal(0, 3, zero.shape))
    page = np.full((300, 260), 240, dtype=np.uint8)
    page[200:250, 30:80] = to_bytes(240 - 200 * ink(6, 50, 4.0, rng))
    yield "small on a large page", page
    yield from rows_of_digits(rng)
    yield from no_digits(rng)
    yield "thick, in a corner's shade", shaded(3, 70, 12.0, np.random.default_rng(5))
    yield "thick and small, in a corner's shade", shaded(8, 40, 6.0, np.random.default_rng(6))
    rng = np.random.default_rng(12)
    yield "cut tightly, thick", HARDER["cut tightly"](ink(2, 60, 9.0, rng), rng)
    y, x = np.mgrid[-1:1:60j, -1:1:50j]
    spot = 230 * 0.2 ** ((x * x + y * y) / 2) + rng.normal(0, 1, x.shape)
    yield "an empty sheet in a spot of light", to_bytes(spot)


def shaded(digit: int, side: int, width: float, rng: np.random.Generator) -> Pixels:
    """Return a thick stroke in light that falls off by two thirds to the corners."""
    y, x = axes((side, side))
    light = 200 * (1 - 0.65 * (x * x + y * y) / 2)
    grey = light * (1 - 0.5 * ink(digit, side, width, rng)) + rng.normal(0, 2, light.shape)
    return to_bytes(grey)


def ink(
    digit: int, side: int, width: float, rng: np.random.Generator, share: float = 0.7
) -> Floats:
    """Return a digit's ink on a square of ``side`` pixels, of which it takes a share."""
    drawn = shape_of_template(digit, rng).ink(round(share * side - width), width)
    return placed(trimmed(drawn), side, rng)


def rows_of_digits(rng: np.random.Generator) -> Iterator[tuple[str, Pixels]]:
    """Yield pictures of several digits."""
    row = np.hstack([ink(digit, 50, 4.0, rng) for digit in (1, 0, 7)])
    yield "three digits", to_bytes(255 * row)
    yield "two digits, photographed", photographed(row[:, :100], rng)
    two = [ink(digit, 36, 5.0, rng)[:, 9:27] for digit in (1, 0)]
    two = [digit.reshape(18, 2, 9, 2).mean(axis=(1, 3)) for digit in two]
    yield "two digits in 28×28", np.pad(to_bytes(255 * np.hstack(two)), 5)


def no_digits(rng: np.random.Generator) -> Iterator[tuple[str, Pixels]]:
    """Yield pictures that are refused."""
    yield "blank", np.full((30, 40), 200, dtype=np.uint8)
    yield "transparent all over", np.zeros((20, 20, 4), dtype=np.uint8)
    yield "noise", rng.integers(0, 256, (60, 60), dtype=np.uint8)
    yield "black and white noise", (255 * (rng.random((40, 40)) < 0.5)).astype(np.uint8)
    yield "a dot", np.pad(np.full((3, 3), 255, dtype=np.uint8), 12)
    yield "five pixels", np.zeros((5, 3), dtype=np.uint8)
    field = np.pad(np.full((60, 50), 245.0), 1, constant_values=90)
    field = np.pad(field, 9, constant_values=245)
    yield "an empty window", SHEETS["in a window"](np.zeros((90, 110)), rng)
    yield "a shadow on an empty sheet", SHEETS["hand's shadow"](np.zeros((80, 80)), rng)
    yield "empty squared paper", SHEETS["squared paper, askew"](np.zeros((60, 60)), rng)
    yield "an empty printed field", to_bytes(field + rng.normal(0, 2, field.shape))


def vector(name: str, pixels: Pixels) -> dict[str, Any]:
    """Return an entry of the file: the pixels, and the digits or the error."""
    entry: dict[str, Any] = {
        "name": name,
        "height": pixels.shape[0],
        "width": pixels.shape[1],
        "channels": 4 if pixels.ndim == 3 else 1,
        "pixels": base64.b64encode(zlib.compress(pixels.tobytes(), 9)).decode("ascii"),
    }
    try:
        digits = split(pixels)
    except PictureError as error:
        return {**entry, "error": error.kind}
    return {**entry, "digits": [base64.b64encode(d.tobytes()).decode("ascii") for d in digits]}


def main() -> None:
    """Write the file."""
    entries = [json.dumps(vector(name, pixels)) for name, pixels in pictures()]
    write_text(TARGET, "[\n" + ",\n".join(entries) + "\n]\n")


if __name__ == "__main__":
    main()
