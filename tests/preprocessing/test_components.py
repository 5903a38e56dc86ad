"""Connected components, with SciPy as the oracle, and the digits that they form."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from kilonet.preprocessing.components import Component, connected_components, group_digits

MASKS = arrays.arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


@given(MASKS, st.integers(0, 2**32))
def test_components_equal_scipy(mask: npt.NDArray[np.bool_], seed: int) -> None:
    values = np.random.default_rng(seed).uniform(0, 9, mask.shape)
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    found = connected_components(mask, values)
    assert len(found.items) == count
    for component in found.items:
        own = found.mask([component])
        (label,) = np.unique(labels[own])
        assert np.array_equal(own, labels == label)
        rows, columns = np.nonzero(own)
        assert component.area == own.sum()
        assert (component.y0, component.y1) == (rows.min(), rows.max() + 1)
        assert (component.x0, component.x1) == (columns.min(), columns.max() + 1)
        np.testing.assert_allclose(component.weight, np.square(values[own]).sum())
        starts = own & ~np.pad(own, ((0, 0), (1, 0)))[:, :-1]
        assert component.runs == starts.sum()
        inside = np.pad(own, 1)[1:-1, 1:-1].copy()
        inside[1:-1, 1:-1] = False
        if min(mask.shape) > 1:
            assert component.border == inside.sum()
    assert np.array_equal(found.mask(found.items), mask)


def test_the_box_has_sides() -> None:
    component = Component(3, 4, 6, 6, number=0, area=6, runs=2, border=0, weight=1.0)
    assert (component.width, component.height, component.side) == (3, 2, 3)


SHAPE = (100, 100)
BODY = (30, 30, 60, 90)


def components(*boxes: tuple[int, int, int, int], share: float = 0.5) -> list[Component]:
    """Return components with the boxes x0, y0, x1, y1 and a share of their area."""
    found = []
    for number, (x0, y0, x1, y1) in enumerate(boxes):
        area = max(1, int((x1 - x0) * (y1 - y0) * share))
        across, down = x1 - x0, y1 - y0
        edge = across * (y0 == 0) + across * (y1 == 100) + down * (x0 == 0) + down * (x1 == 100)
        found.append(Component(x0, y0, x1, y1, number, area, down, edge, float(area)))
    return found


def numbers(*boxes: tuple[int, int, int, int]) -> list[list[int]]:
    return [
        sorted(p.number for p in digit.components)
        for digit in group_digits(components(*boxes), SHAPE)
    ]


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
def test_specks_and_shadows_are_dropped(other: tuple[int, int, int, int]) -> None:
    assert numbers(BODY, other) == [[0]]


def test_the_box_contains_all_components() -> None:
    (digit,) = group_digits(components(BODY, (40, 20, 75, 26)), SHAPE)
    assert (digit.x0, digit.y0, digit.x1, digit.y1) == (30, 20, 75, 90)
    assert (digit.width, digit.height, digit.side) == (45, 70, 70)
    assert digit.weight == 900 + 105


def test_a_tightly_cropped_digit_touches_the_border() -> None:
    assert numbers((0, 0, 100, 100), (0, 40, 30, 60)) == [[0, 1]]
