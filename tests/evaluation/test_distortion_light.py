"""Noise, inversion and paper: their statistics."""

from __future__ import annotations

import numpy as np
import pytest
from digits_like import bar, shapes

from kilonet.evaluation.distortions.light import inverted, noisy, on_paper


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_noise_has_its_deviation_and_no_bias() -> None:
    grey = np.full((400, 28, 28), 128, dtype=np.uint8)
    added = noisy(grey, 25, rng()).astype(float) - 128
    assert added.std() == pytest.approx(25, rel=0.01)
    assert added.mean() == pytest.approx(0, abs=0.2)
    assert abs(np.corrcoef(added[:, :, :-1].ravel(), added[:, :, 1:].ravel())[0, 1]) < 0.01


def test_noise_stays_within_the_grey_levels() -> None:
    black = np.zeros((50, 28, 28), dtype=np.uint8)
    assert (noisy(black, 50, rng()) == 0).mean() == pytest.approx(0.5, abs=0.02)


def test_inversion_is_its_own_inverse() -> None:
    images = shapes()
    assert (inverted(images, 1, rng()) == 255 - images).all()
    assert (inverted(inverted(images, 1, rng()), 1, rng()) == images).all()


def test_no_paper_is_exact() -> None:
    images = shapes()
    assert (on_paper(images, 0.0, rng()) == images).all()


@pytest.mark.parametrize("strength", [0.25, 0.5, 1.0])
def test_light_falls_off_from_one_side_to_the_other(strength: float) -> None:
    empty = np.zeros((500, 28, 28), dtype=np.uint8)
    ground = on_paper(empty, strength, rng()).astype(float)
    # At the image's middle all are as bright: the ramp is half-way there.
    expected = 255 * strength * (0.1 + 0.4 / 2)
    assert ground[:, 13:15, 13:15].mean() == pytest.approx(expected, rel=0.03)
    corners = np.sort(ground[:, [0, 0, -1, -1], [0, -1, 0, -1]], axis=1).mean(axis=0)
    assert corners[0] == pytest.approx(255 * strength * 0.1, abs=10)
    assert corners[-1] == pytest.approx(255 * strength * 0.5, abs=10)
    lightest = ground[:, [0, 0, -1, -1], [0, -1, 0, -1]].argmin(axis=1)
    assert np.bincount(lightest).min() > 80  # in each direction alike: 125 ± 10


@pytest.mark.parametrize("strength", [0.25, 0.5, 1.0])
def test_ink_is_paler_and_still_the_brighter(strength: float) -> None:
    drawn = on_paper(np.repeat(bar(), 500, axis=0), strength, rng()).astype(float)
    empty = on_paper(np.zeros((500, 28, 28), dtype=np.uint8), strength, rng()).astype(float)
    contrast = (drawn - empty)[:, 6:22, 10:14]
    light = 1 - strength * (0.1 + 0.4 / 2)
    assert contrast.mean() == pytest.approx(255 * light * (1 - strength / 2), rel=0.05)
    assert contrast.min() > 0
