"""Figures that the digit detector learns from: letters, symbols and lines, and rare digits.

Nothing of this is in the development set, which has other fonts and other drawings.
"""

from __future__ import annotations

import math
import unicodedata
from functools import cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from pictures.kinds import Floats, Random, to_bytes
from pictures.strokes import Curve, curves_of, points_of_curve, shape_of_image, trimmed

SIDE = 72  # pixels
WIDTHS = (0.03, 0.17)  # of a pen, in parts of the side
FOLDER = Path(mpl.get_data_path()) / "fonts" / "ttf"
FONTS = tuple(
    f"{name}.ttf"
    for name in (
        "DejaVuSans",
        "DejaVuSerif",
        "DejaVuSansMono",
        "DejaVuSans-Bold",
        "DejaVuSans-Oblique",
        "STIXGeneral",
        "STIXGeneralItalic",
        "STIXGeneralBol",
        "STIXNonUni",
        "STIXNonUniIta",
        "cmr10",
        "cmmi10",
        "cmti10",
        "cmtt10",
        "cmss10",
        "cmb10",
    )
)
LATIN = "ABCDEFGHJKLMNPQRTUVWXYacdefhkmnprtuvwxy#%&?@+=<>$*~{}[]"
# Greek, Cyrillic, Armenian, Georgian, Hebrew, Canadian syllabics, accents, arrows, mathematics.
BLOCKS = (
    (0x391, 0x3C9),
    (0x410, 0x44F),
    (0x531, 0x587),
    (0x10D0, 0x10F0),
    (0x5D0, 0x5EA),
    (0x1401, 0x14FF),
    (0xDF, 0x17F),
    (0x2190, 0x22FF),
    (0x2600, 0x26FF),
)
# Characters that look like a digit in some hand.
LOOKALIKES = frozenset(
    "OoОоΟοIlІӀіїi|!1SsЅѕZzΖВвΒB8bЬьЪъЫыбБ6qgզգցօՕΦφQ9çоוזןסט∣∕ȈӨөØø⌀○◯Ззэ3ЭհЧч4γЛΙιßєЄ"
    "ÀÁÂÒÓÔÕÖÙÚÛÜòóôõöĎďÐðÞþĐđŌōŎŏŐőŒœŚśŜŝŞşŠšŹźŻżŽžÌÍÎÏìíîïĨĩĪīĬĭĮįİıĲĳĹĺĻļĽľĿŀŁłĜĝĞğĠġĢģ"
)

# A line for each variant, as in ``strokes.TEMPLATES``.
FIGURES = """
A: 8,100 30,50 50,0 | 50,0 70,50 92,100 | 26,64 76,64
A: 10,98 12,40 50,0 88,40 90,98 | 12,60 88,60
B: 18,0 18,50 18,100 | 18,2 66,6 70,34 20,48 | 20,48 78,56 76,92 18,99
C: 88,18 60,0 20,24 14,64 46,98 86,84
D: 18,0 18,100 | 18,0 80,16 88,60 60,96 18,100
E: 84,2 18,2 | 18,2 18,98 | 18,98 86,98 | 18,50 70,50
E: 80,10 40,0 24,28 52,46 | 52,46 16,66 30,98 84,88
F: 84,2 20,2 | 20,2 18,100 | 18,48 70,48
G: 84,16 50,0 14,36 24,90 70,98 86,60 | 54,58 88,58
H: 14,0 14,100 | 86,0 86,100 | 14,50 86,50
J: 30,2 84,2 | 62,2 64,70 44,100 14,84
J: 66,0 68,64 46,98 20,86 14,66
K: 18,0 18,100 | 82,2 20,54 | 34,44 86,100
L: 20,0 18,98 | 18,98 86,98
M: 8,100 14,0 | 14,0 50,70 | 50,70 86,0 | 86,0 92,100
N: 14,100 16,0 | 16,0 84,100 | 84,100 86,0
P: 20,0 20,100 | 20,2 70,2 80,34 50,52 20,52
Q: 50,0 14,24 14,76 50,98 86,76 86,24 52,0 | 56,66 94,104
R: 20,100 20,0 | 20,2 72,4 76,36 22,50 | 40,50 84,100
T: 8,2 92,2 | 50,2 50,100
U: 12,0 14,64 40,98 74,88 86,60 86,0
V: 10,0 30,50 50,100 | 50,100 70,50 90,0
W: 4,0 26,98 | 26,98 50,30 | 50,30 74,98 | 74,98 96,0
X: 12,0 88,100 | 88,0 12,100
Y: 10,0 50,50 | 90,0 50,50 | 50,50 50,100
a: 80,20 50,8 18,40 28,90 66,80 82,30 | 82,8 80,60 90,98
a: 22,20 60,4 78,30 78,98 | 78,46 26,54 20,88 52,98 78,72
c: 82,24 50,6 18,40 24,84 56,98 86,80
d: 78,52 50,40 18,66 34,98 66,92 78,64 | 80,0 78,50 84,100
e: 18,54 84,48 | 84,48 66,8 26,20 16,70 46,98 86,80
f: 80,8 56,2 44,24 44,100 | 20,42 76,42
h: 20,0 20,100 | 20,66 50,40 78,60 80,100
k: 22,0 22,100 | 74,36 24,70 | 36,62 82,100
m: 8,30 8,100 | 8,50 30,28 46,50 46,100 | 46,50 70,28 88,50 90,100
n: 20,20 20,100 | 20,48 54,20 80,50 80,100
n: 14,24 22,40 20,98 | 20,60 44,22 70,34 72,86 90,96
p: 20,20 20,120 | 20,40 56,16 82,44 62,78 20,72
r: 24,20 24,100 | 24,52 50,24 84,28
t: 46,0 44,80 60,100 84,90 | 18,32 78,32
u: 16,20 18,80 48,98 78,70 | 80,20 80,80 92,98
v: 14,20 46,98 | 46,98 86,20
w: 8,22 20,86 46,90 50,40 | 50,40 60,94 84,84 92,22
x: 16,20 84,98 | 84,20 16,98
y: 14,10 46,62 | 86,10 50,60 22,110
y: 16,10 20,50 50,62 80,40 | 82,10 80,80 50,110 20,100
m: 6,96 14,20 30,80 48,24 60,90 | 60,90 76,22 96,96
alpha: 86,10 60,60 30,90 12,60 30,26 58,50 90,96
beta: 20,110 24,30 50,4 70,26 40,46 | 40,46 80,60 66,96 26,88
gamma: 10,20 40,40 54,80 44,112 36,92 60,50 90,12
lambda: 20,0 50,40 88,100 | 52,44 14,100
pi: 8,14 92,10 | 32,14 26,98 | 66,14 66,80 84,98
sigma: 86,6 14,6 | 14,6 56,50 | 56,50 14,96 | 14,96 88,96
theta: 50,0 18,24 18,76 50,100 82,76 82,24 52,0 | 18,50 82,50
phi: 50,24 18,40 18,66 50,80 82,66 82,40 52,24 | 50,0 50,110
psi: 12,10 18,50 50,64 82,50 88,10 | 50,0 50,110
omega: 20,96 40,94 12,56 24,14 50,2 76,14 88,56 60,94 80,96
delta: 50,2 10,96 | 10,96 90,96 | 90,96 50,2
zhe: 50,0 50,100 | 10,4 46,50 8,98 | 90,4 54,50 92,98
sha: 8,0 8,98 | 8,98 92,98 | 92,98 92,0 | 50,0 50,98
ya: 80,100 80,0 | 80,2 30,6 26,42 78,52 | 62,52 18,100
plus: 50,8 50,92 | 8,50 92,50
times: 16,16 84,84 | 84,16 16,84
equals: 10,34 90,34 | 10,66 90,66
divide: 10,50 90,50 | 50,18 50,22 | 50,78 50,82
hash: 34,4 26,96 | 72,4 64,96 | 6,34 94,34 | 4,68 92,68
question: 20,24 46,2 78,20 66,48 48,58 48,74 | 48,92 48,96
exclaim: 50,0 50,66 | 50,92 50,98
at: 70,30 40,34 36,66 66,70 72,32 | 72,32 76,72 94,56 84,10 44,2 8,36 16,84 60,98 88,84
ampersand: 90,98 34,34 44,2 66,18 24,62 34,98 70,84 88,56
percent: 86,4 14,98 | 26,6 12,20 26,36 40,20 26,6 | 74,64 60,80 74,96 88,80 74,64
star: 50,0 80,96 | 80,96 4,36 | 4,36 96,36 | 96,36 20,96 | 20,96 50,0
asterisk: 50,4 50,96 | 10,26 90,74 | 90,26 10,74
arrow: 6,50 94,50 | 66,22 94,50 | 66,78 94,50
arrow: 50,96 50,4 | 22,32 50,4 | 78,32 50,4
check: 6,56 34,94 | 34,94 94,4
triangle: 50,4 6,94 | 6,94 94,94 | 94,94 50,4
heart: 50,30 30,2 6,30 24,66 50,98 | 50,30 70,2 94,30 76,66 50,98
house: 14,44 14,98 | 14,98 86,98 | 86,98 86,44 | 4,46 50,2 | 50,2 96,46
smile: 50,0 14,20 4,54 20,88 52,100 84,86 96,52 84,16 52,0 | 32,34 32,40 | 68,34 68,40 | 28,62 72,62
zigzag: 6,20 26,80 | 26,80 46,20 | 46,20 66,80 | 66,80 90,20
wave: 4,50 20,20 36,50 52,80 68,50 84,20 98,50
spiral: 52,50 60,44 56,62 40,58 40,36 66,30 76,60 50,84 20,66 22,24 60,6 94,30
euro: 84,16 50,2 22,36 26,72 54,98 86,86 | 8,42 66,42 | 8,60 60,60
dollar: 80,18 40,10 22,30 50,48 78,66 60,90 16,84 | 50,0 50,104
pound: 80,14 50,2 36,30 40,70 16,96 | 16,96 86,94 | 18,52 66,52
paragraph: 50,100 50,4 | 76,100 76,4 | 86,4 36,4 14,26 36,50 50,50
sqrt: 4,54 18,50 | 18,50 36,96 | 36,96 56,6 | 56,6 98,6
integral: 80,8 62,2 50,30 50,70 38,98 18,92
bracket: 70,0 24,0 | 24,0 24,100 | 24,100 70,100
brace: 74,0 48,10 48,40 24,50 | 24,50 48,60 48,90 74,100
grid: 30,0 30,100 | 70,0 70,100 | 0,30 100,30 | 0,70 100,70
cross: 50,0 50,100 | 22,30 78,30
hbar: 4,50 96,50
anchor: 50,0 50,96 | 26,24 74,24 | 8,60 24,90 50,96 76,90 92,60
bolt: 66,0 24,54 | 24,54 72,46 | 72,46 30,100
flag: 20,0 20,100 | 20,4 84,24 | 84,24 20,46
tree: 50,100 50,40 | 50,0 14,44 | 14,44 86,44 | 86,44 50,0
han: 10,20 90,20 | 50,0 50,100 | 50,40 10,90 | 50,40 90,90
kou: 14,8 14,92 | 14,92 86,92 | 86,92 86,8 | 86,8 14,8 | 14,50 86,50 | 50,8 50,92
ren: 52,0 44,50 8,100 | 48,44 92,100
da: 8,36 92,36 | 50,0 46,50 8,100 | 50,44 92,100
"""
RARE_DIGITS = """
1: 12,40 34,22 54,0 | 54,0 52,100
1: 4,60 30,34 58,0 | 58,0 56,50 52,100
1: 24,24 52,0 | 52,0 52,98 | 22,98 84,98
1: 30,20 44,10 54,0 | 54,0 50,100 | 26,100 76,100
1: 50,0 50,100 | 30,100 72,100
1: 30,4 52,0 | 52,0 52,98 | 30,98 74,98
9: 76,20 50,0 20,20 34,46 62,40 76,16 | 76,16 78,60 62,94 34,98 14,82
9: 80,10 44,0 18,28 40,50 70,34 80,10 | 80,10 76,70 50,100 20,92
9: 76,6 44,4 20,30 44,52 74,30 | 76,4 74,50 74,100
9: 82,46 18,46 | 18,46 18,2 | 18,2 82,2 | 82,2 80,98
6: 76,8 44,6 20,50 30,92 62,98 80,72 58,52 24,66
6: 22,0 18,60 30,96 66,98 80,70 54,54 20,68
6: 80,2 18,2 | 18,2 18,98 | 18,98 82,98 | 82,98 82,52 | 82,52 18,52
0: 14,0 86,0 | 86,0 86,100 | 86,100 14,100 | 14,100 14,0
0: 46,6 14,30 18,74 48,98 82,74 84,30 62,4
0: 30,6 10,46 24,92 60,98 88,64 82,20 50,8
0: 54,0 24,20 14,60 30,94 60,98 84,70 82,30 64,12
0: 50,0 18,24 16,74 48,100 80,74 84,24 50,0 | 84,4 18,96
4: 20,0 16,52 | 16,52 88,50 | 72,10 68,100
4: 24,0 14,50 50,56 86,46 | 74,4 72,100
4: 64,0 8,68 | 8,68 94,68 | 64,0 64,100
4: 70,0 16,60 | 16,60 86,62 | 56,34 54,100
7: 10,20 12,2 | 12,2 86,4 | 86,4 46,100
7: 14,4 86,2 | 86,2 50,100 | 30,50 78,52
7: 8,10 40,0 90,6 | 90,6 62,40 52,100
2: 16,20 48,0 78,22 56,58 14,86 30,78 60,94 90,92
2: 14,2 84,2 | 84,2 84,50 | 84,50 14,50 | 14,50 14,98 | 14,98 84,98
2: 12,24 42,0 76,20 60,60 10,98 | 10,98 92,98
3: 14,2 84,2 | 84,2 44,42 | 44,42 82,56 74,92 44,100 12,86
3: 14,2 84,2 | 84,2 84,98 | 84,98 14,98 | 30,50 84,50
5: 84,2 18,2 | 18,2 18,50 | 18,50 84,50 | 84,50 84,98 | 84,98 16,98
5: 84,0 26,6 20,46 | 20,46 62,36 84,66 58,98 14,92
5: 30,2 24,40 50,38 80,60 66,94 18,96 | 28,4 86,2
8: 50,48 26,34 28,8 52,0 76,14 66,38 30,58 20,84 48,100 80,84 70,58 44,44
8: 20,2 80,2 | 80,2 80,98 | 80,98 20,98 | 20,98 20,2 | 20,50 80,50
8: 50,0 28,10 28,38 50,46 74,36 72,10 50,0 | 50,46 22,58 20,88 50,100 80,88 78,60 50,46
8: 74,10 44,2 28,26 60,50 78,76 50,100 22,80 44,52 70,30 80,12
"""


@cache
def variants(text: str) -> list[tuple[str, list[Curve]]]:
    """Return the name and the curves of each line of a table."""
    lines = [line.partition(": ") for line in text.strip().splitlines()]
    return [(name, curves_of(curves)) for name, _, curves in lines]


@cache
def other_characters() -> list[str]:
    """Return the characters of ``BLOCKS`` that do not look like digits."""
    found = [chr(code) for first, last in BLOCKS for code in range(first, last + 1)]
    names = [(sign, unicodedata.name(sign, "DIGIT")) for sign in found if sign not in LOOKALIKES]
    return [sign for sign, name in names if "DIGIT" not in name and "CIRCLE" not in name]


def figure(rng: Random, table: str = FIGURES) -> tuple[str, Floats]:
    """Return the name and the ink of one line of a table, drawn with a shaken hand."""
    known = variants(table)
    name, strokes = known[rng.integers(len(known))]
    return name, drawn(strokes, rng)


def drawn(strokes: list[Curve], rng: Random, shake: float = 0.03, side: int = SIDE) -> Floats:
    """Return the ink of ``strokes`` with points, slant, aspect, angle and lines shaken."""
    moved = {point: rng.normal(0, shake, 2) for stroke in strokes for point in stroke}
    lines = [
        points_of_curve(np.array([np.array(point) - 0.5 + moved[point] for point in stroke]))
        for stroke in strokes
    ]
    return pen(bent(lines, rng), rng, side=side)


def bent(lines: list[Floats], rng: Random) -> list[Floats]:
    """Return lines, rotated, sheared, squeezed and bent, that fit into a box around 0."""
    angle, slant = math.radians(rng.normal(0, 7)), rng.normal(0.08, 0.15)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = turn @ np.array([[rng.uniform(0.55, 1.0), -slant], [0, 1]])
    size, phase = rng.normal(0, 0.03, (2, 3)), rng.uniform(0, 2 * math.pi, (2, 3))
    result = []
    for line in lines:
        points = line @ matrix.T
        across = points[:, ::-1, None] * (2.2, 4.4, 6.6)
        result.append(points + (size * np.sin(across + phase)).sum(axis=2))
    low, high = (f([f(line, axis=0) for line in result], axis=0) for f in (np.min, np.max))
    return [(line - (low + high) / 2) / (high - low).max() for line in result]


def pen(
    lines: list[Floats], rng: Random, widths: tuple[float, float] = WIDTHS, side: int = SIDE
) -> Floats:
    """Return the ink of lines in a box of size 1 around 0, drawn with a round pen."""
    width = side * math.exp(rng.uniform(*map(math.log, widths)))
    image = Image.new("L", (2 * side, 2 * side))
    brush, radius = ImageDraw.Draw(image), width
    for line in lines:
        places = 2 * side * (line * (0.94 - width / side) + 0.5)
        points = [tuple(place) for place in places.tolist()]
        brush.line(points, fill=255, width=max(1, round(2 * width)), joint="curve")
        for x, y in (points[0], points[-1]):
            brush.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(image.resize((side, side), Image.Resampling.BOX)) / 255.0


def random_strokes(rng: Random) -> Floats:
    """Return the ink of two to six lines, arcs and curves anywhere."""
    return pen(bent([_stroke(rng) for _ in range(rng.integers(2, 7))], rng), rng)


def _stroke(rng: Random) -> Floats:
    choice, centre = rng.random(), rng.uniform(-0.45, 0.45, 2)
    if choice < 0.4:
        return np.stack([centre, rng.uniform(-0.45, 0.45, 2)])
    if choice < 0.8:
        angles = np.linspace(0, rng.uniform(1, 6.3), 40) + rng.uniform(0, 2 * math.pi)
        circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        return centre + rng.uniform(0.1, 0.5, 2) * circle
    return points_of_curve(rng.uniform(-0.48, 0.48, (int(rng.integers(3, 7)), 2)))


def wandering_line(rng: Random) -> Floats:
    """Return the ink of a long line whose direction changes at random."""
    count = int(rng.integers(45, 160))
    angles = np.cumsum(rng.normal(0, rng.uniform(0.2, 1.0), count) + rng.normal(0, 0.15))
    line = np.cumsum(np.stack([np.cos(angles), np.sin(angles)], axis=1), axis=0)
    low, high = line.min(axis=0), line.max(axis=0)
    return pen([(line - (low + high) / 2) / max((high - low).max(), 1e-6)], rng)


# Printed characters


def character(rng: Random) -> Floats:
    """Return the ink of a printed character, deformed, or drawn anew with a pen."""
    while True:
        font = FONTS[rng.integers(len(FONTS))]
        signs = LATIN if rng.random() < 0.5 else other_characters()
        ink = printed(FOLDER / font, signs[rng.integers(len(signs))])
        if ink is not None and rng.random() < 0.35:
            ink = redrawn(ink, rng)
        if ink is not None:
            return deformed(ink, rng)


def printed(font: Path, text: str, size: int = SIDE) -> Floats | None:
    """Return the ink of ``text``; None if the font lacks it."""
    image = _text(font, text, size)
    if image.max() < 128 or np.array_equal(image, _text(font, "\uffff" * len(text), size)):
        return None
    return trimmed(image, 64) / 255.0


def _text(font: Path, text: str, size: int) -> Floats:
    image = Image.new("L", (2 * size * len(text), 2 * size))
    middle = (size * len(text), size)
    ImageDraw.Draw(image).text(middle, text, fill=255, font=_font(font, size), anchor="mm")
    return np.asarray(image)


@cache
def _font(path: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)


def redrawn(ink: Floats, rng: Random) -> Floats | None:
    """Return the skeleton of ``ink``, drawn with a pen; None if too little is left of it."""
    scale = 22 / max(ink.shape)
    size = (max(1, round(ink.shape[1] * scale)), max(1, round(ink.shape[0] * scale)))
    image = Image.new("L", (28, 28))
    image.paste(Image.fromarray(to_bytes(ink * 255)).resize(size, Image.Resampling.BOX), (3, 3))
    small = np.asarray(image)
    if (small > 110).sum() < 6:
        return None
    width = 60 * math.exp(rng.uniform(math.log(0.04), math.log(0.16)))
    anew = shape_of_image(small).ink(60, width)
    return trimmed(anew, 0.002) if anew.max() > 0.5 else None


def deformed(ink: Floats, rng: Random, side: int = 84) -> Floats:
    """Return ``ink`` rotated, sheared, squeezed and bent, perhaps with broader strokes."""
    y, x = (np.mgrid[:side, :side] - side / 2) / (0.86 * side)
    angle, slant = math.radians(rng.normal(0, 7)), rng.normal(0.05, 0.13)
    u = (math.cos(angle) * x + math.sin(angle) * y) * math.exp(rng.normal(0, 0.15)) + slant * y
    v = math.cos(angle) * y - math.sin(angle) * x
    size, phase = rng.normal(0, 0.02, (2, 2)), rng.uniform(0, 2 * math.pi, (2, 2))
    for i, frequency in enumerate((5, 9)):
        u, v = (
            u + size[0, i] * np.sin(frequency * v + phase[0, i]),
            v + size[1, i] * np.sin(frequency * u + phase[1, i]),
        )
    scale = max(ink.shape)
    places = [v * scale + ink.shape[0] / 2, u * scale + ink.shape[1] / 2]
    result = ndimage.map_coordinates(ink, places, order=1)
    broader = int(rng.choice([1, 3, 5], p=[0.7, 0.2, 0.1]))
    return np.asarray(ndimage.grey_dilation(result, size=(broader, broader)))
