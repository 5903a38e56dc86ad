"""28×28 as MNIST has it."""

from __future__ import annotations

import numpy as np
import pytest
from made import ONE, SEVEN, drawn
from PIL import Image
from scipy import ndimage

from kilonet.preprocessing.frame import BOX, THICK, THIN, frame, ready, stroke_width
from kilonet.preprocessing.ink import Ink


def of(ink: np.ndarray) -> Ink:  # type: ignore[type-arg]
    return Ink(np.pad(ink / 255.0, 1), 1.0)


def box(image: np.ndarray) -> tuple[int, int]:  # type: ignore[type-arg]
    rows, columns = (np.nonzero(image.max(axis=axis) > 127)[0] for axis in (1, 0))
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


@pytest.mark.parametrize("side", [16, 28, 50, 200])
def test_fits_20_by_20_keeping_its_aspect(side: int) -> None:
    image = frame(of(drawn(SEVEN, side, side / 8)))
    assert image.shape == (28, 28)
    assert image.dtype == np.uint8
    assert box(image)[0] == pytest.approx(BOX, abs=2)


@pytest.mark.parametrize("strokes", [SEVEN, ONE])
@pytest.mark.parametrize("turned", [False, True])
def test_the_centre_of_mass_is_where_mnist_has_it(
    strokes: list[list[tuple[float, float]]], turned: bool
) -> None:
    ink = drawn(strokes, side=100, width=12)
    image = frame(of(ink.T if turned else ink)).astype(float)
    assert all(13.5 <= middle < 14.5 for middle in ndimage.center_of_mass(image))


def test_a_digit_of_the_right_size_is_averaged_over_areas() -> None:
    """Four pixels to one, nothing to thicken: Pillow's box filter is the oracle."""
    ink = drawn(SEVEN, side=100, width=10)
    rows, columns = (np.nonzero(ink.max(axis=axis))[0] for axis in (1, 0))
    cut = ink[rows[0] : rows[0] + 80, columns[0] : columns[0] + 80]
    expected = np.asarray(Image.fromarray(cut).reduce(4)).astype(float)
    image = frame(Ink(cut / 255.0, 1.0)).astype(float)
    rows, columns = (np.nonzero(image.max(axis=axis))[0] for axis in (1, 0))
    assert np.abs(np.sort(image[image > 0]).sum() - expected.sum()) / expected.sum() < 0.05


@pytest.mark.parametrize("width", [2, 5, 12, 30])
def test_strokes_get_a_width_that_mnist_has(width: float) -> None:
    image = frame(of(drawn(SEVEN, side=160, width=width)))
    assert image.max() > 220
    found = stroke_width(image / 255.0)
    assert THIN * 0.6 < found < THICK * 1.1


@pytest.mark.parametrize("width", [3, 8, 15])
def test_stroke_width_is_measured(width: int) -> None:
    assert stroke_width(drawn(SEVEN, side=200, width=width) / 255.0) == pytest.approx(
        width, rel=0.15
    )


def prepared() -> np.ndarray:  # type: ignore[type-arg]
    return frame(of(drawn(SEVEN, side=100, width=12)))


def test_what_is_ready_stays_as_it_is() -> None:
    image = prepared()
    found, inverted = ready(image), ready(255 - image)
    assert found is not None
    assert inverted is not None
    assert np.array_equal(found, image)
    assert np.array_equal(inverted, image)


def test_what_is_not_ready() -> None:
    image = prepared()
    for other in (
        np.roll(image, 3, axis=0),
        image // 2,
        np.maximum(image, 20),
        image[:27],
        np.zeros_like(image),
        np.pad(image[::2, ::2], 7),
    ):
        assert ready(other) is None
