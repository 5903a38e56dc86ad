"""Drawings that are no digits, and hold together as digits do: letters and scribbles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.interpolate import make_interp_spline

from pictures.kinds import KINDS, Bytes, Floats, Random, placed
from pictures.strokes import shape_of_image, trimmed

# Not B, I, O, S, Z, b, g, i, j, l, o, q, s, z: written by hand they are digits too, or two pieces.
LETTERS = "ACDEFGHJKLMNPQRTUVWXYacdefhkmnprtuvwxy"
FONTS = ("DejaVuSans", "DejaVuSerif", "STIXGeneral", "STIXGeneralItalic", "cmmi10", "cmtt10")
SIDE = 160  # pixels
FAINT = 0.5 / 255  # of full ink: what is less is no grey level
PAPERS = ("plain", "photographed pencil")


def doodles(each: int, seed: int = 0) -> Iterator[tuple[str, Bytes]]:
    """Yield ``each`` "letters" and "scribbles", drawn with one pen, half of them photographed."""
    rng = np.random.default_rng([seed, 3])
    for number in range(each):
        paper = KINDS[PAPERS[number % len(PAPERS)]]
        yield "letters", paper(placed(letter(rng), SIDE, rng), rng)
        yield "scribbles", paper(placed(scribble(rng), SIDE, rng), rng)


def letter(rng: Random) -> Floats:
    """Return the ink of a letter: the middle lines of a printed one, drawn with a pen."""
    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    font = ImageFont.truetype(folder / f"{FONTS[rng.integers(len(FONTS))]}.ttf", 22)
    image = Image.new("L", (28, 28))
    sign = LETTERS[rng.integers(len(LETTERS))]
    ImageDraw.Draw(image).text((14, 14), sign, fill=255, font=font, anchor="mm")
    length = round(SIDE * rng.uniform(0.4, 0.7))
    return trimmed(
        shape_of_image(np.asarray(image)).ink(length, length * rng.uniform(0.04, 0.15)), FAINT
    )


def scribble(rng: Random) -> Floats:
    """Return the ink of a smooth line through some points, which may cross itself."""
    count = int(rng.integers(5, 13))
    points = rng.uniform(0.1, 0.9, (count, 2)) * SIDE * rng.uniform(0.5, 0.75)
    line = make_interp_spline(np.arange(count), points, k=3)(np.linspace(0, count - 1, 30 * count))
    image = Image.new("L", (SIDE, SIDE))
    moved = [tuple(point) for point in (line + SIDE / 6).tolist()]
    ImageDraw.Draw(image).line(moved, fill=255, width=int(rng.integers(3, 12)), joint="curve")
    return trimmed(np.asarray(image.resize((SIDE // 2,) * 2, Image.Resampling.BOX)) / 255.0, FAINT)
