"""Pictures that do not show one digit: letters, symbols, scribbles, doodles, empty pages.

The letters are of Debian's fonts, in handwriting and in print:

    apt-get install --no-install-recommends fonts-breip fonts-bwht fonts-comic-neue \
        fonts-dancingscript fonts-dkg-handwriting fonts-ecolier-court fonts-femkeklaver \
        fonts-humor-sans fonts-isabella fonts-kaushanscript fonts-klee fonts-kristi \
        fonts-leckerli-one fonts-liberation fonts-lobster fonts-oldstandard fonts-rufscript \
        fonts-tomsontalks
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.interpolate import make_interp_spline

from kilonet.errors import KilonetError
from pictures.characters import bent, pen, printed, redrawn
from pictures.kinds import (
    KINDS,
    Bytes,
    Floats,
    Random,
    placed,
    ruled,
    shaded,
    squared,
    to_bytes,
    vignetted,
)
from pictures.sheets import hand_shadow, rotated_squared_paper, ruled_askew
from pictures.strokes import enlarged, trimmed

FOLDER = Path("/usr/share/fonts")
HANDWRITING = (
    *("BecauseWeBuild-Regular.otf", "BecauseWeConnect-Regular.otf", "BecauseWeCreate-Regular.otf"),
    *("BecauseWeLearn-Regular.otf", "BecauseWeMentor-Regular.otf", "Breip.ttf", "dkg.ttf"),
    *("ComicNeue-Regular.otf", "ComicNeue-Italic.otf", "DancingScript-Regular.otf", "dkgIt.ttf"),
    *("Ecolier-court.ttf", "femkeklaver.ttf", "Humor-Sans.ttf", "KaushanScript-Regular.otf"),
    *("KleeOne-Regular.ttf", "Kristi.ttf", "LeckerliOne-Regular.ttf", "Rufscript010.ttf"),
    *("TomsonTalks.ttf", "lobster.otf"),
)
PRINT = (
    *("Isabella.ttf", "LiberationMono-Regular.ttf", "LiberationSans-Bold.ttf"),
    *("LiberationSans-Regular.ttf", "LiberationSansNarrow-Regular.ttf"),
    *("LiberationSerif-Italic.ttf", "LiberationSerif-Regular.ttf", "OldStandard-Regular.ttf"),
)
# Without letters that look like digits when written by hand, or that have two parts.
LETTERS = "ACDEFGHJKLMNPQRTUVWXYacdefhkmnprtuvwxy"
SYMBOLS = "#%&?@+=$*€£~¶"
SIDE = 160  # pixels
FAINT = 0.5 / 255  # of full ink: less than half a grey level
PAPERS = ("plain", "photographed pencil")


@cache
def font(name: str) -> Path:
    """Return the path of an installed font.

    Raises:
        KilonetError: it is not installed.
    """
    found = next(iter(sorted(FOLDER.rglob(name))), None)
    if found is None:
        packages = " ".join((__doc__ or "").split("apt-get ")[1].replace("\\", "").split())
        raise KilonetError(f"The font {name} is not installed. Run apt-get {packages}")
    return found


def printed_letter(rng: Random) -> Floats:
    """Return the ink of a letter, printed in one of all fonts."""
    return _printed(rng, (*HANDWRITING, *PRINT), LETTERS)


def drawn_letter(rng: Random) -> Floats:
    """Return the ink of a letter of a handwriting font, drawn anew with a pen."""
    while True:
        ink = redrawn(_printed(rng, HANDWRITING, LETTERS), rng)
        if ink is not None:
            return ink


def symbol(rng: Random) -> Floats:
    """Return the ink of a symbol, printed or drawn anew."""
    ink = _printed(rng, (*HANDWRITING, *PRINT), SYMBOLS)
    anew = redrawn(ink, rng) if rng.random() < 0.5 else None
    return ink if anew is None else anew


def _printed(rng: Random, fonts: tuple[str, ...], signs: str) -> Floats:
    while True:
        name, sign = fonts[rng.integers(len(fonts))], signs[rng.integers(len(signs))]
        ink = printed(font(name), sign, int(rng.integers(60, 110)))
        if ink is not None and min(ink.shape) > 3:
            return ink


def scribble(rng: Random) -> Floats:
    """Return the ink of a smooth line through random points."""
    count = int(rng.integers(5, 13))
    points = rng.uniform(0.1, 0.9, (count, 2)) * SIDE * rng.uniform(0.5, 0.75)
    line = make_interp_spline(np.arange(count), points, k=3)(np.linspace(0, count - 1, 30 * count))
    image = Image.new("L", (SIDE, SIDE))
    moved = [tuple(point) for point in (line + SIDE / 6).tolist()]
    ImageDraw.Draw(image).line(moved, fill=255, width=int(rng.integers(3, 12)), joint="curve")
    return trimmed(np.asarray(image.resize((SIDE // 2,) * 2, Image.Resampling.BOX)) / 255.0, FAINT)


def doodle(rng: Random) -> Floats:
    """Return the ink of a star, flower, spiral, person, cloud, face, fish, house or tally."""
    shapes = (_star, _flower, _spiral, _person, _cloud, _face, _fish, _house, _tally)
    lines = shapes[rng.integers(len(shapes))](rng)
    return trimmed(pen(bent(lines, rng), rng, (0.03, 0.1), side=90), FAINT)


TURN = np.linspace(0, 2 * math.pi, 120)


def _oval(x: float, y: float, width: float, height: float | None = None) -> Floats:
    up = width if height is None else height
    return np.stack([x + width * np.cos(TURN), y + up * np.sin(TURN)], axis=1)


def _polar(radius: Floats, angle: Floats = TURN) -> Floats:
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _lines(*texts: str) -> list[Floats]:
    return [np.array([_point(word) for word in text.split()]) for text in texts]


def _point(word: str) -> tuple[float, float]:
    """Return x and y, in hundredths, of a word such as "10,-20"."""
    x, _, y = word.partition(",")
    return int(x) / 100, int(y) / 100


def _star(rng: Random) -> list[Floats]:
    corners = 2 * int(rng.integers(5, 9)) + 1
    radius = np.where(np.arange(corners) % 2, rng.uniform(0.15, 0.25), 0.45)
    return [_polar(radius, np.linspace(0, 2 * math.pi, corners))]


def _flower(rng: Random) -> list[Floats]:
    return [_polar(0.3 + 0.15 * np.cos(rng.integers(5, 9) * TURN)), _oval(0, 0, 0.1)]


def _spiral(rng: Random) -> list[Floats]:
    angle = np.linspace(0, rng.uniform(2.2, 4) * 2 * math.pi, 200)
    return [_polar(angle, angle)]


def _person(_: Random) -> list[Floats]:
    limbs = ("0,-23 0,10", "-25,-10 0,-15 25,-10", "0,10 -20,45", "0,10 20,45")
    return [_oval(0, -0.34, 0.11), *_lines(*limbs)]


def _cloud(_: Random) -> list[Floats]:
    return [_polar(0.35 + 0.06 * np.abs(np.sin(3.5 * TURN))) * (1.2, 0.7)]


def _face(_: Random) -> list[Floats]:
    smile = _oval(0, 0.1, 0.22, 0.15)[:60]
    return [_oval(0, 0, 0.45), _oval(-0.15, -0.1, 0.03), _oval(0.15, -0.1, 0.03), smile]


def _fish(_: Random) -> list[Floats]:
    tail = _lines("22,0 45,-18 45,18 22,0")
    return [_oval(-0.08, 0, 0.32, 0.2), *tail, _oval(-0.25, -0.03, 0.02)]


def _house(_: Random) -> list[Floats]:
    walls = "-35,45 -35,-5 35,-5 35,45 -35,45"
    return _lines(walls, "-42,-5 0,-45 42,-5", "-10,45 -10,15 10,15 10,45")


def _tally(rng: Random) -> list[Floats]:
    count = int(rng.integers(4, 8))
    strokes = [_lines("-40,-40 -25,40")[0] + (0.8 * i / count, 0) for i in range(count)]
    return [line + rng.normal(0, 0.02, (2, 2)) for line in strokes] + _lines("-45,10 45,-10")


def two_joined(images: Bytes, rng: Random) -> Floats:
    """Return the ink of two digits or letters that touch or overlap."""
    height = 60
    parts = []
    for _ in range(2):
        digit = rng.random() < 0.6
        ink = enlarged(images[rng.integers(len(images))], height) if digit else printed_letter(rng)
        width = max(3, round(ink.shape[1] * height / ink.shape[0]))
        parts.append(np.asarray(Image.fromarray(to_bytes(ink * 255)).resize((width, height))) / 255)
    first, second = parts
    overlap = min(int(rng.integers(0, 10)), first.shape[1] - 2, second.shape[1] - 2)
    row = np.zeros((height, first.shape[1] + second.shape[1] - overlap))
    row[:, : first.shape[1]] = first
    row[:, -second.shape[1] :] = np.maximum(row[:, -second.shape[1] :], second)
    return row


DRAWINGS: dict[str, Callable[[Random], Floats]] = {
    "printed letters": printed_letter,
    "drawn letters": drawn_letter,
    "symbols": symbol,
    "scribbles": scribble,
    "doodles": doodle,
}
PAGES: dict[str, tuple[Callable[[Floats, Random], Bytes], ...]] = {
    "empty squared paper": (rotated_squared_paper, squared),
    "empty ruled paper": (ruled_askew, ruled),
    "shadows on empty paper": (hand_shadow, shaded),
    "empty paper with dark corners": (vignetted,),
}


def non_digits(images: Bytes, each: int, seed: int = 0) -> Iterator[tuple[str, Bytes]]:
    """Yield kind and picture: ``each`` of every kind; drawings are half of them photographed.

    ``images`` are digits, uint8 (N, 28, 28), for pairs.
    """
    rng = np.random.default_rng([seed, 5])
    for number in range(each):
        paper = KINDS[PAPERS[number % len(PAPERS)]]
        for kind, draw in DRAWINGS.items():
            yield kind, paper(placed(draw(rng), SIDE, rng), rng)
        yield "two characters that touch", paper(placed(two_joined(images, rng), SIDE, rng), rng)
        for kind, papers in PAGES.items():
            side = round(math.exp(rng.uniform(math.log(60), math.log(500))))
            yield kind, papers[number // 2 % len(papers)](np.zeros((side, side)), rng)
