"""Paper in light that falls off: a curved surface is taken off where nothing else finds the ink."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from made import SEVEN, difference, drawn

from kilonet.pictures import PictureError, prepare
from kilonet.pictures.light import without_light

Y, X = np.mgrid[-1:1:90j, -1:1:90j]
LIGHT = 200 * (1 - 0.65 * (X * X + Y * Y) / 2)
INK = drawn(SEVEN, side=90, width=20.0) / 255


def photograph(ink: npt.NDArray[np.float64], noise: float = 2) -> npt.NDArray[np.uint8]:
    grey = LIGHT * (1 - 0.5 * ink) + np.random.default_rng(0).normal(0, noise, ink.shape)
    return grey.round().clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("dark", [True, False])
def test_a_surface_of_degree_two_is_taken_off(dark: bool) -> None:
    grey = 120 + 30 * X - 20 * Y - 25 * X * Y + 15 * X * X + (-60 if dark else 60) * INK
    relief = without_light(grey, dark=dark)
    assert np.abs(relief.values - 60 * INK).max() < 4
    assert relief.noise < 2


@pytest.mark.parametrize("shape", [(40, 1), (1, 40), (2, 2)])
def test_narrow_pictures(shape: tuple[int, int]) -> None:
    relief = without_light(np.linspace(0, 200, 40)[: shape[0] * shape[1]].reshape(shape), dark=True)
    assert np.isfinite(relief.values).all()


@pytest.mark.parametrize("invert", [False, True])
def test_a_thick_stroke_in_dark_corners(invert: bool) -> None:
    picture = photograph(INK)
    assert difference(prepare(255 - picture if invert else picture), prepare(INK)) < 0.3


@pytest.mark.parametrize("noise", [0.5, 2, 6])
def test_a_sheet_with_dark_corners_is_no_digit(noise: float) -> None:
    with pytest.raises(PictureError):
        prepare(photograph(np.zeros_like(INK), noise))
