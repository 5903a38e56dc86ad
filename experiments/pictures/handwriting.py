"""Handwritten shapes that MNIST has few of, drawn to measure how a network predicts them.

They share nothing with the digits that ``augmentation.handwriting`` trains with: other skeletons,
other curves, another pen, and they pass through the preparation of pictures.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from pictures.kinds import KINDS, Random, photographed, placed
from pictures.strokes import Bytes, Curve, curves_of, shape_of_strokes, trimmed

# A line for each variant: name, digit, and curves as in ``strokes.TEMPLATES``.
SHAPES = """
1 with a flag; 1; 22,36 40,20 54,0 | 54,0 54,50 53,100
1 with a flag; 1; 8,44 30,24 52,0 | 52,0 51,50 50,100
1 with a flag; 1; 28,20 42,12 55,0 | 55,0 53,50 48,100
1 with a flag; 1; 10,28 34,18 56,0 | 56,0 52,50 44,100
1 with a flag; 1; 2,58 28,32 56,0 | 56,0 54,50 54,100
1 with a flag; 1; 24,22 44,18 60,2 | 60,2 56,50 50,100
1 with a flag; 1; 0,66 26,36 50,0 | 50,0 52,50 54,100
1 with a flag; 1; 16,30 36,8 54,4 | 54,4 56,50 52,100
1 with flag and foot; 1; 6,50 30,26 52,0 | 52,0 52,50 52,98 | 16,98 50,98 88,98
1 with flag and foot; 1; 26,26 42,14 54,0 | 54,0 54,50 54,100 | 28,100 55,100 80,100
1 with flag and foot; 1; 14,36 34,20 54,0 | 54,0 53,50 52,98 | 18,99 50,98 86,97
1 with flag and foot; 1; 34,14 44,10 56,0 | 56,0 53,50 50,100 | 34,100 50,100 68,98
1 with flag and foot; 1; 20,22 36,16 52,0 | 52,0 52,50 52,96 | 22,96 52,98 84,100
1 with a foot; 1; 52,0 51,50 50,100 | 24,100 50,100 78,100
1 with a foot; 1; 56,0 52,50 46,99 | 26,99 46,98 72,100
hooked 9; 9; 74,18 50,0 24,18 32,42 60,42 75,16 | 75,16 76,55 66,90 40,100 20,86
hooked 9; 9; 78,12 46,2 22,24 42,48 66,36 78,12 | 78,12 80,60 72,92 48,99 26,94
hooked 9; 9; 72,20 52,0 28,14 28,36 52,44 72,20 | 72,8 74,52 70,86 52,100 30,96 16,80
hooked 9; 9; 76,8 40,4 20,28 40,46 70,30 | 76,8 74,50 68,84 46,98 22,92
hooked 9; 9; 66,30 66,8 40,2 24,20 40,38 66,26 | 66,14 70,60 60,92 36,100 14,84 18,70
hooked 9; 9; 72,30 64,6 36,6 24,30 48,40 70,22 76,58 60,96 28,100 10,80
hooked 9; 9; 80,8 52,2 32,14 36,30 56,32 80,8 78,50 66,88 36,100 12,88
hooked 6; 6; 74,10 52,0 28,30 20,68 40,100 72,90 74,64 50,52 26,68
square 0; 0; 16,2 84,0 | 84,0 84,100 | 84,100 16,98 | 16,98 16,2
square 0; 0; 20,0 78,4 | 78,4 82,96 | 82,96 22,100 | 22,100 20,0
square 2; 2; 14,4 82,2 | 82,2 82,48 | 82,48 18,52 | 18,52 16,98 | 16,98 84,98
square 3; 3; 16,2 82,2 | 82,2 80,98 | 80,98 16,98 | 28,50 80,50
square 5; 5; 84,2 20,2 | 20,2 20,48 | 20,48 82,48 | 82,48 80,98 | 80,98 16,98
square 6; 6; 78,2 20,2 | 20,2 20,98 | 20,98 80,98 | 80,98 80,50 | 80,50 20,50
square 6; 6; 28,0 24,98 | 24,98 76,98 | 76,98 78,56 | 78,56 24,56
square 8; 8; 20,2 80,2 | 80,2 80,98 | 80,98 20,98 | 20,98 20,2 | 20,50 80,50
square 9; 9; 80,50 20,50 | 20,50 20,2 | 20,2 80,2 | 80,2 80,98 | 80,98 22,98
square 9; 9; 76,44 24,44 | 24,44 24,2 | 24,2 76,2 | 76,2 74,100
open 4; 4; 18,0 18,30 20,54 | 20,54 50,56 84,54 | 72,8 70,60 68,100
open 4; 4; 26,4 20,36 26,52 50,56 76,48 | 78,0 76,50 72,100
open 4; 4; 14,6 18,48 | 18,48 88,44 | 66,14 60,100
closed 4; 4; 66,0 38,30 8,66 | 8,66 92,66 | 66,0 66,50 66,100
closed 4; 4; 62,2 12,58 | 12,58 64,60 | 62,2 62,50 60,100
half-drawn 0; 0; 40,2 16,30 16,70 46,100 76,76 82,36 66,8
half-drawn 0; 0; 58,0 24,16 12,58 36,98 70,90 86,50 78,20
half-drawn 0; 0; 30,10 12,50 30,94 62,98 84,66 80,24 56,4
half-drawn 0; 0; 44,6 70,6 86,46 70,92 38,98 14,66 18,30
slashed 0; 0; 50,0 16,24 14,72 48,100 82,76 84,26 52,0 | 78,10 22,90
7 with a bar; 7; 12,4 50,2 88,4 | 88,4 60,46 36,100 | 30,48 56,48 82,46
7 with a bar; 7; 16,2 82,0 | 82,0 54,100 | 36,56 54,52 80,50
7 with a bar; 7; 14,20 14,4 | 14,4 50,6 86,2 | 86,2 62,50 52,100 | 38,54 62,50 88,50
7 with a serif; 7; 12,24 12,4 | 12,4 50,4 86,4 | 86,4 64,50 46,100
7 with a serif; 7; 10,30 16,2 | 16,2 84,4 | 84,4 58,40 50,100
looped 2; 2; 16,22 42,0 76,14 66,50 32,84 14,92 14,78 34,80 60,96 88,90
looped 2; 2; 20,16 50,0 78,22 58,58 26,92 12,84 28,76 56,94 86,98
3 with a flat top; 3; 16,2 50,2 80,2 | 80,2 60,22 42,42 | 42,42 76,52 80,82 48,100 14,88
two-loop 8; 8; 50,0 26,12 28,38 50,48 72,38 74,12 50,0 | 50,48 20,62 20,90 50,100 80,90 80,62 50,48
open 8; 8; 70,6 34,6 28,30 64,54 80,82 48,100 20,82 36,56 70,32 82,14
curled 5; 5; 80,2 34,4 | 34,4 22,42 | 22,42 60,36 84,62 66,96 30,98 16,84
"""


SPREAD = 1.4  # times the variation of the templates; at 2 some are not legible


def _shapes() -> dict[str, tuple[int, list[list[Curve]]]]:
    found: dict[str, tuple[int, list[list[Curve]]]] = {}
    for line in SHAPES.strip().splitlines():
        name, digit, text = line.split("; ")
        found.setdefault(name, (int(digit), []))[1].append(curves_of(text))
    return found


def handwriting(each: int, seed: int = 0) -> Iterator[tuple[str, int, Bytes]]:
    """Yield name, digit and picture: ``each`` of every shape, half of them photographed."""
    rng = np.random.default_rng([seed, 4])
    for name, (digit, variants) in _shapes().items():
        for number in range(each):
            yield name, digit, _picture(variants[number % len(variants)], number, rng)


def _picture(strokes: list[Curve], number: int, rng: Random) -> Bytes:
    """Return a picture of the strokes, drawn with a pen of 4 % to 16 % of their height."""
    side = int(rng.integers(60, 200))
    length = round(side * rng.uniform(0.5, 0.8))
    width = max(1.5, length * math.exp(rng.uniform(math.log(0.04), math.log(0.16))))
    ink = trimmed(shape_of_strokes(strokes, rng, SPREAD).ink(round(length - width), width))
    paper = photographed if number // 2 % 2 else KINDS["plain"]
    return paper(placed(ink, side, rng), rng)
