"""The paper and its noise."""

from __future__ import annotations

import numpy as np
import pytest
from made import drawn

from kilonet.pictures.background import without_background

Y, X = np.mgrid[-1:1:80j, -1:1:100j]
INK = np.zeros((80, 100))
INK[20:60, 40:60] = 1


@pytest.mark.parametrize("level", [0.0, 128.0, 255.0])
def test_a_flat_background_is_taken_off_exactly(level: float) -> None:
    ground = without_background(level + INK * 50)
    assert ground.noise == 0
    assert np.array_equal(ground.difference, INK * 50)


@pytest.mark.parametrize("contrast", [-120, 120])
def test_a_quadratic_surface_is_taken_off(contrast: float) -> None:
    paper = 130 + 30 * X - 20 * Y + 15 * X * X - 10 * X * Y + 5 * Y * Y
    ground = without_background(paper + contrast * INK)
    assert np.abs(ground.difference - contrast * INK).max() < 1


@pytest.mark.parametrize("slope", [0, 40])
@pytest.mark.parametrize("deviation", [2, 10])
def test_noise_is_measured(deviation: float, slope: float) -> None:
    noise = np.random.default_rng(0).normal(0, deviation, INK.shape)
    ground = without_background(120 + slope * X - 90 * INK + noise)
    assert ground.noise == pytest.approx(deviation, rel=0.2)
    assert np.abs(ground.difference[INK == 0] - noise[INK == 0]).max() < 2


def test_ink_at_the_edge_is_no_background() -> None:
    """Scans that are cropped tightly: the digit touches all four sides."""
    ink = drawn([[(0, 0), (1, 0), (1, 1), (0, 1)], [(0.5, 0), (0.5, 1)]], side=16, width=3)
    ground = without_background(ink.astype(np.float64))
    inked = ink > 200
    assert np.abs(ground.difference[ink == 0]).max() < 6
    assert ground.difference[inked].min() > 150
