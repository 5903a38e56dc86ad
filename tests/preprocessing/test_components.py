"""Connected pieces, with SciPy as the oracle."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from kilonet.preprocessing.components import Piece, pieces_of

MASKS = arrays.arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


@given(MASKS, st.integers(0, 2**32))
def test_pieces_are_scipys(mask: npt.NDArray[np.bool_], seed: int) -> None:
    values = np.random.default_rng(seed).uniform(0, 9, mask.shape)
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    found = pieces_of(mask, values)
    assert len(found.pieces) == count
    for piece in found.pieces:
        own = found.mask([piece])
        (label,) = np.unique(labels[own])
        assert np.array_equal(own, labels == label)
        rows, columns = np.nonzero(own)
        assert piece.area == own.sum()
        assert (piece.y0, piece.y1) == (rows.min(), rows.max() + 1)
        assert (piece.x0, piece.x1) == (columns.min(), columns.max() + 1)
        np.testing.assert_allclose(piece.weight, np.square(values[own]).sum())
        starts = own & ~np.pad(own, ((0, 0), (1, 0)))[:, :-1]
        assert piece.runs == starts.sum()
        inside = np.pad(own, 1)[1:-1, 1:-1].copy()
        inside[1:-1, 1:-1] = False
        if min(mask.shape) > 1:
            assert piece.edge == inside.sum()
    assert np.array_equal(found.mask(found.pieces), mask)


def test_sides() -> None:
    piece = Piece(3, 4, 6, 6, number=0, area=6, runs=2, edge=0, weight=1.0)
    assert (piece.width, piece.height, piece.side) == (3, 2, 3)
