"""Which pieces make a digit."""

from __future__ import annotations

import pytest

from kilonet.preprocessing.components import Piece
from kilonet.preprocessing.glyphs import glyphs_of

SHAPE = (100, 100)
BODY = (30, 30, 60, 90)


def pieces(*boxes: tuple[int, int, int, int], share: float = 0.5) -> list[Piece]:
    """Return pieces with boxes x0, y0, x1, y1, that fill a share of them."""
    found = []
    for number, (x0, y0, x1, y1) in enumerate(boxes):
        area = max(1, int((x1 - x0) * (y1 - y0) * share))
        across, down = x1 - x0, y1 - y0
        edge = across * (y0 == 0) + across * (y1 == 100) + down * (x0 == 0) + down * (x1 == 100)
        found.append(Piece(x0, y0, x1, y1, number, area, down, edge, float(area)))
    return found


def numbers(*boxes: tuple[int, int, int, int]) -> list[list[int]]:
    return [sorted(p.number for p in glyph.pieces) for glyph in glyphs_of(pieces(*boxes), SHAPE)]


@pytest.mark.parametrize(
    "other",
    [
        (40, 20, 75, 26),  # the bar of a 5, above
        (66, 32, 84, 38),  # the bar of a 5, beside
        (62, 30, 70, 90),  # the other half of a broken 0
        (45, 92, 60, 98),  # the foot of a 2
    ],
)
def test_strokes_of_one_digit(other: tuple[int, int, int, int]) -> None:
    assert numbers(BODY, other) == [[0, 1]]


def test_digits_side_by_side_are_ordered() -> None:
    assert numbers((70, 30, 90, 90), (10, 35, 30, 80), (42, 20, 55, 90)) == [[1], [2], [0]]


@pytest.mark.parametrize(
    "other",
    [
        (70, 80, 73, 84),  # a speck
        (90, 30, 96, 45),  # a smudge far away
        (95, 10, 100, 95),  # the dark edge of the photograph
    ],
)
def test_what_is_left_out(other: tuple[int, int, int, int]) -> None:
    assert numbers(BODY, other) == [[0]]


def test_the_box_is_around_all() -> None:
    (glyph,) = glyphs_of(pieces(BODY, (40, 20, 75, 26)), SHAPE)
    assert (glyph.x0, glyph.y0, glyph.x1, glyph.y1) == (30, 20, 75, 90)
    assert (glyph.width, glyph.height, glyph.side) == (45, 70, 70)
    assert glyph.weight == 900 + 105


def test_a_digit_cut_tightly_touches_the_edge() -> None:
    assert numbers((0, 0, 100, 100), (0, 40, 30, 60)) == [[0, 1]]
