"""The paper is subtracted and its noise is measured."""

from __future__ import annotations

import numpy as np
import pytest
from made import drawn
from scipy import ndimage

from kilonet.preprocessing.background import subtract_background
from kilonet.preprocessing.filters import box_mean, mean_3x3, opening

Y, X = np.mgrid[-1:1:80j, -1:1:100j]
INK = np.zeros((80, 100))
INK[20:60, 45:53] = INK[52:60, 30:70] = 1


@pytest.mark.parametrize("contrast", [-50, 50])
@pytest.mark.parametrize("level", [60.0, 128.0, 200.0])
def test_an_even_background_is_subtracted_exactly(level: float, contrast: float) -> None:
    foreground = subtract_background(level + INK * contrast)
    assert foreground.noise == 0
    assert foreground.threshold == 5
    assert np.array_equal(foreground.values, INK * 50)


@pytest.mark.parametrize("contrast", [-90, 90])
@pytest.mark.parametrize("paper", ["slope", "bowl", "step"])
def test_uneven_paper_is_subtracted(paper: str, contrast: float) -> None:
    """The dark half of the step is a shadow with a sharp edge, right beside the stroke."""
    level = {"slope": 35 * X - 20 * Y, "bowl": 40 * X * Y - 20 * X * X, "step": 30 * (X > 0.1)}
    noise = np.random.default_rng(0).normal(0, 1.5, INK.shape)
    foreground = subtract_background(130 + level[paper] + contrast * INK + noise)
    assert np.abs(foreground.values - 90 * INK)[INK == 1].mean() < 8
    away = ndimage.binary_dilation(INK > 0, iterations=2)
    assert foreground.values[~away].max() < 18


@pytest.mark.parametrize("slope", [0, 40])
@pytest.mark.parametrize("deviation", [2, 10])
def test_noise_is_measured(deviation: float, slope: float) -> None:
    noise = np.random.default_rng(0).normal(0, deviation, INK.shape)
    foreground = subtract_background(120 + slope * X - 90 * INK + noise)
    assert foreground.noise == pytest.approx(deviation, rel=0.25)
    assert foreground.values[INK == 1].mean() == pytest.approx(90, abs=10)
    assert (foreground.values[INK == 0] > foreground.threshold).mean() < 0.001


def test_ink_on_the_border_is_not_background() -> None:
    """A tightly cropped scan: the digit touches all four sides."""
    strokes = [
        [(0.0, 0.0), (1.0, 0.0), (1.0, 0.3)],
        [(0.3, 0.5), (0.3, 1.0)],
        [(0, 0.7), (0.3, 0.7)],
    ]
    ink = drawn(strokes, side=16, width=3)
    foreground = subtract_background(ink.astype(np.float64))
    assert np.array_equal(foreground.values, ink)


def test_mean_3x3_equals_scipy() -> None:
    grey = np.random.default_rng(0).uniform(0, 255, (9, 7))
    expected = ndimage.uniform_filter(grey, 3, mode="nearest")
    np.testing.assert_allclose(mean_3x3(grey), expected)


SHAPES = [(30, 40), (3, 90), (90, 1), (1, 1), (7, 2)]


@pytest.mark.parametrize("shape", SHAPES)
def test_openings_and_box_means_equal_scipy_at_any_reach(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(0).uniform(0, 255, shape)
    for reach in (1, 4, 25, 200):
        wide = np.pad(values, 2 * reach, mode="edge")
        opened = ndimage.grey_opening(wide, size=2 * reach + 1)
        inside = np.s_[2 * reach : -2 * reach, 2 * reach : -2 * reach]
        np.testing.assert_array_equal(opening(values, reach), opened[inside])
        mean = ndimage.uniform_filter(values, 2 * reach + 1, mode="nearest")
        np.testing.assert_allclose(box_mean(values, reach), mean, rtol=1e-9)
