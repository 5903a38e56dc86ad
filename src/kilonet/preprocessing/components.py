"""Connected pieces of a mask, found row by row: runs of pixels, joined where they touch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.intp]
Mask: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Box:
    """A part of a picture, from column x0 and row y0 up to x1 and y1."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        """Columns that it spans."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Rows that it spans."""
        return self.y1 - self.y0

    @property
    def side(self) -> int:
        """The longer of the two."""
        return max(self.width, self.height)


@dataclass(frozen=True)
class Piece(Box):
    """A connected piece: the box around it, and its ``area`` in pixels.

    ``runs`` counts its unbroken rows of pixels, ``edge`` its pixels on the picture's edge.
    ``weight`` is the sum of its squared values: what it contributes to what is seen.
    """

    number: int
    area: int
    runs: int
    edge: int
    weight: float


@dataclass(frozen=True, eq=False)
class Pieces:
    """All pieces of a mask, and which run of pixels belongs to which."""

    pieces: list[Piece]
    shape: tuple[int, int]
    rows: Integers
    starts: Integers
    stops: Integers
    owner: Integers

    def mask(self, chosen: Iterable[Piece]) -> Mask:
        """Return the mask, (H, W), of the pixels of some pieces."""
        numbers = np.zeros(len(self.pieces), dtype=np.bool_)
        numbers[[piece.number for piece in chosen]] = True
        wanted = numbers[self.owner]
        height, width = self.shape
        # Where it changes, in the order of pixels: nothing, a run, nothing, a run, ..., nothing.
        changes = np.zeros(2 * int(wanted.sum()) + 2, dtype=np.intp)
        changes[1:-1:2] = self.rows[wanted] * width + self.starts[wanted]
        changes[2:-1:2] = self.rows[wanted] * width + self.stops[wanted]
        changes[-1] = height * width
        inside = np.arange(len(changes) - 1) % 2 == 1
        return np.repeat(inside, changes[1:] - changes[:-1]).reshape(height, width)


def pieces_of(mask: Mask, values: Floats) -> Pieces:
    """Return the 8-connected pieces of ``mask``, (H, W), weighed by ``values``, (H, W)."""
    height, width = mask.shape
    padded = np.zeros((height, width + 2), dtype=np.bool_)
    padded[:, 1:-1] = mask
    changes = np.flatnonzero(padded[:, 1:] != padded[:, :-1])  # a start, its stop, a start, ...
    rows, starts = np.divmod(changes[::2], width + 1)
    stops = changes[1::2] - rows * (width + 1)
    owner = _joined(rows.tolist(), starts.tolist(), stops.tolist())
    pieces = _measured(rows, starts, stops, owner, np.square(values))
    return Pieces(pieces, (height, width), rows, starts, stops, owner)


def _joined(rows: list[int], starts: list[int], stops: list[int]) -> Integers:
    """Return the number of the piece, from 0, that each run belongs to."""
    parent = list(range(len(rows)))  # an earlier run of the same piece; a piece's first has itself
    above = 0
    for run, row in enumerate(rows):
        while above < run and (
            rows[above] < row - 1 or (rows[above] == row - 1 and stops[above] < starts[run])
        ):
            above += 1
        other, mine = above, run
        while other < run and rows[other] == row - 1 and starts[other] <= stops[run]:
            theirs = other
            while parent[theirs] != theirs:
                parent[theirs] = theirs = parent[parent[theirs]]
            parent[max(mine, theirs)] = mine = min(mine, theirs)
            other += 1
    for run, earlier in enumerate(parent):
        parent[run] = parent[earlier]
    roots = np.array(parent, dtype=np.intp)
    return (np.cumsum(roots == np.arange(len(rows))) - 1)[roots]


def _measured(
    rows: Integers, starts: Integers, stops: Integers, owner: Integers, squares: Floats
) -> list[Piece]:
    if not owner.size:
        return []
    sums = np.zeros((squares.shape[0], squares.shape[1] + 1))
    np.cumsum(squares, axis=1, out=sums[:, 1:])
    weights = sums[rows, stops] - sums[rows, starts]
    order = np.argsort(owner, kind="stable")
    numbers = owner[order]
    begins = np.append(0, np.flatnonzero(numbers[1:] != numbers[:-1]) + 1)
    ends = np.append(begins[1:], len(owner))
    height, width = squares.shape
    edges = np.where(
        (rows == 0) | (rows == height - 1), stops - starts, (starts == 0) * 1 + (stops == width)
    )
    ordered = [part[order] for part in (stops - starts, edges, weights, starts, rows, stops)]
    area, edge, weight = (np.add.reduceat(part, begins).tolist() for part in ordered[:3])
    x0, x1 = (f.reduceat(ordered[i], begins) for f, i in ((np.minimum, 3), (np.maximum, 5)))
    y0, y1 = ordered[4][begins], ordered[4][ends - 1] + 1
    boxes = zip(x0.tolist(), y0.tolist(), x1.tolist(), y1.tolist(), strict=True)
    runs = (ends - begins).tolist()
    counts = zip(area, runs, edge, weight, strict=True)
    return [
        Piece(*box, i, *count) for i, (count, box) in enumerate(zip(counts, boxes, strict=True))
    ]
