"""A curved surface is subtracted if nothing else finds the ink: photographs in uneven light."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from made import SEVEN, difference, drawn

from kilonet.preprocessing import PictureError, prepare
from kilonet.preprocessing.background import subtract_surface, subtract_uneven_light

Y, X = np.mgrid[-1:1:90j, -1:1:90j]
LIGHT = 200 * (1 - 0.65 * (X * X + Y * Y) / 2)
INK = drawn(SEVEN, side=90, width=20.0) / 255


def photograph(
    ink: npt.NDArray[np.float64], noise: float = 2, contrast: float = 0.5
) -> npt.NDArray[np.uint8]:
    grey = LIGHT * (1 - contrast * ink) + np.random.default_rng(0).normal(0, noise, ink.shape)
    return grey.round().clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("dark", [True, False])
def test_a_surface_of_degree_two_is_subtracted(dark: bool) -> None:
    grey = 120 + 30 * X - 20 * Y - 25 * X * Y + 15 * X * X + (-60 if dark else 60) * INK
    foreground = subtract_surface(grey, dark=dark)
    assert np.abs(foreground.values - 60 * INK).max() < 4
    assert foreground.noise < 2


@pytest.mark.parametrize("shape", [(40, 1), (1, 40), (2, 2)])
def test_narrow_pictures(shape: tuple[int, int]) -> None:
    foreground = subtract_surface(
        np.linspace(0, 200, 40)[: shape[0] * shape[1]].reshape(shape), dark=True
    )
    assert np.isfinite(foreground.values).all()


@pytest.mark.parametrize("contrast", [0.3, 0.5])
@pytest.mark.parametrize("invert", [False, True])
def test_a_thick_stroke_in_dark_corners(invert: bool, contrast: float) -> None:
    """Without the surface, the low contrast is refused, and the high one loses its shape."""
    picture = photograph(INK, contrast=contrast)
    assert difference(prepare(255 - picture if invert else picture), prepare(INK)) < 0.3


def test_the_snr_must_exceed_the_minimum() -> None:
    grey = photograph(INK).astype(np.float64)
    lit = subtract_uneven_light(grey, 0)
    assert lit is not None
    assert subtract_uneven_light(grey, lit.snr) is None
    noise = np.random.default_rng(0).normal(0, 40, INK.shape)
    assert subtract_uneven_light(grey + noise, 0) is None


@pytest.mark.parametrize("noise", [0, 1, 2])
@pytest.mark.parametrize("power", [2, 3])
def test_light_of_another_shape_is_not_sharp(power: int, noise: float) -> None:
    """No surface of degree two fits it, and the remainder in the corners has no edges."""
    grey = 230 * (1 - 0.75 * ((X * X + Y * Y) / 2) ** power)
    grey = grey + np.random.default_rng(0).normal(0, noise, grey.shape)
    assert subtract_surface(grey, dark=True).snr > 7
    assert subtract_uneven_light(grey, 0) is None


@pytest.mark.parametrize("side", [90, 300])
@pytest.mark.parametrize("noise", [0, 2])
def test_a_blank_sheet_in_a_spotlight_is_refused(noise: float, side: int) -> None:
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    grey = 230 * 0.25 ** ((x * x + y * y) / 2)
    grey = grey + np.random.default_rng(0).normal(0, noise, grey.shape)
    with pytest.raises(PictureError):
        prepare(grey.round().clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("noise", [0.5, 2, 6])
def test_a_blank_sheet_with_dark_corners_is_refused(noise: float) -> None:
    with pytest.raises(PictureError):
        prepare(photograph(np.zeros_like(INK), noise))
