"""Which pieces of ink make a digit: strokes apart belong together, specks and smudges do not."""

from __future__ import annotations

from dataclasses import dataclass

from kilonet.preprocessing.components import Box, Piece

SPECK_AREA = 0.04  # of the main piece's pixels
SPECK_SIDE = 0.08  # of its longer side
MOST_PIECES = 64  # the heaviest ones count; the rest is dirt
ON_THE_EDGE = 0.1  # of the picture's edge: what covers that much may be a shadow or the table
LESS = 0.25  # of its weight counts then
CORNER_AREA = 0.25  # of the main piece's: what is smaller and touches the edge is not of the digit

OVERLAP = 0.3  # of the narrower one's width: strokes above each other
TALL = 0.5  # of the taller one: what may be a digit of its own
CLOSE = 0.1  # of the longer side: two tall pieces nearer than this are one broken digit
NEAR = 0.35  # of the longer side: how far a short stroke may be from its digit
HEAVY = 0.12  # of the heaviest: what may be a digit of its own


@dataclass(frozen=True)
class Glyph(Box):
    """Pieces that make one digit, and the box around them."""

    pieces: tuple[Piece, ...]
    weight: float


def glyphs_of(pieces: list[Piece], shape: tuple[int, int]) -> list[Glyph]:
    """Return the digits, left to right, that ``pieces`` of a picture of that (H, W) make.

    The heaviest piece is ink for certain; specks beside it are dropped. What lies above each other
    or nearly touches is one digit, and so is a short stroke near a tall one: the bar of a 5. What
    is left over and too short or too faint for a digit is a smudge.
    """
    main = max(pieces, key=lambda piece: _standing(piece, shape))
    kept = [piece for piece in pieces if piece is main or not _is_speck(piece, main, shape)]
    kept.sort(key=lambda piece: (-piece.weight, piece.number))
    glyphs = _merged([_of(piece) for piece in kept[:MOST_PIECES]])
    centre = next(glyph for glyph in glyphs if main in glyph.pieces)
    found = [glyph for glyph in glyphs if glyph is centre or _is_digit(glyph, centre)]
    return sorted(found, key=lambda glyph: glyph.x0 + glyph.x1)


def _standing(piece: Piece, shape: tuple[int, int]) -> float:
    return piece.weight * (LESS if _lies_on_edge(piece, shape) else 1)


def _lies_on_edge(piece: Piece, shape: tuple[int, int]) -> bool:
    return piece.edge >= ON_THE_EDGE * 2 * (shape[0] + shape[1])


def _is_speck(piece: Piece, main: Piece, shape: tuple[int, int]) -> bool:
    if piece.area < SPECK_AREA * main.area or piece.side < SPECK_SIDE * main.side:
        return True
    if not piece.edge or main.edge:
        return False
    return piece.area < CORNER_AREA * main.area or _lies_on_edge(piece, shape)


def _is_digit(glyph: Glyph, other: Glyph) -> bool:
    return glyph.height >= TALL * other.height and glyph.weight >= HEAVY * other.weight


def _of(piece: Piece) -> Glyph:
    return Glyph(piece.x0, piece.y0, piece.x1, piece.y1, (piece,), piece.weight)


def _merged(glyphs: list[Glyph]) -> list[Glyph]:
    """Join two that belong together, until there are none."""
    pairs = ((a, b) for i, a in enumerate(glyphs) for b in glyphs[:i])
    found = next((pair for pair in pairs if _belong(*pair)), None)
    if found is None:
        return glyphs
    return _merged([glyph for glyph in glyphs if glyph not in found] + [_joined(*found)])


def _belong(a: Glyph, b: Glyph) -> bool:
    across, down = max(a.x0, b.x0) - min(a.x1, b.x1), max(a.y0, b.y0) - min(a.y1, b.y1)
    side = max(a.side, b.side)
    if -across >= OVERLAP * min(a.width, b.width):
        return down <= NEAR * side
    both_tall = min(a.height, b.height) >= TALL * max(a.height, b.height)
    return across <= (CLOSE if both_tall else NEAR) * side and down <= NEAR * side


def _joined(a: Glyph, b: Glyph) -> Glyph:
    return Glyph(
        min(a.x0, b.x0),
        min(a.y0, b.y0),
        max(a.x1, b.x1),
        max(a.y1, b.y1),
        a.pieces + b.pieces,
        a.weight + b.weight,
    )
