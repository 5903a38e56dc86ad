"""Shift, scale, rotation: Pillow is the oracle, and centres of mass tell what was done."""

from __future__ import annotations

import numpy as np
import pytest
from digits_like import shapes
from PIL import Image

from kilonet.evaluation.distortions.geometry import rotated, scaled, shifted
from kilonet.evaluation.distortions.pixels import Floats, Images


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def centres(images: Images) -> Floats:
    """Return the centres of mass, (N, 2), row and column."""
    mass = images.astype(np.float64)
    at = np.arange(28)
    rows, columns = mass.sum(axis=2) @ at, mass.sum(axis=1) @ at
    return np.stack([rows, columns], axis=1) / mass.sum(axis=(1, 2))[:, None]


@pytest.mark.parametrize("distance", [1, 2.5, 4])
def test_shift_is_as_far_as_was_asked_for_and_any_way(distance: float) -> None:
    images = shapes(300)
    moved = centres(shifted(images, distance, rng())) - centres(images)
    assert np.hypot(*moved.T) == pytest.approx(distance, abs=0.05)
    assert np.abs((moved / distance).mean(axis=0)).max() < 0.15
    quadrants = np.unique(moved > 0, axis=0, return_counts=True)[1]
    assert quadrants.min() > 50


@pytest.mark.parametrize("factor", [0.5, 0.7, 1.2, 1.4])
def test_scale_is_pillows(factor: float) -> None:
    images = shapes()
    for image, got in zip(images, scaled(images, factor, rng()), strict=True):
        offset = 14 - 14 / factor
        rows = (1 / factor, 0, offset, 0, 1 / factor, offset)
        expected = Image.fromarray(image).transform(
            (28, 28), Image.Transform.AFFINE, rows, Image.Resampling.BILINEAR
        )
        assert np.abs(np.asarray(expected).astype(int) - got).max() <= 1


@pytest.mark.parametrize("degrees", [10, 45])
def test_rotation_is_pillows_one_way_or_the_other(degrees: float) -> None:
    images, ways = shapes(60), []
    for image, got in zip(images, rotated(images, degrees, rng()), strict=True):
        gaps = []
        for angle in (degrees, -degrees):
            expected = Image.fromarray(image).rotate(angle, Image.Resampling.BILINEAR)
            gaps.append(np.abs(np.asarray(expected).astype(int) - got).max())
        assert min(gaps) <= 1 < max(gaps)
        ways.append(int(np.argmin(gaps)))
    assert 18 < sum(ways) < 42


def test_whole_pixels_and_quarter_turns_are_exact() -> None:
    images = shapes(8)
    assert (scaled(images, 1.0, rng()) == images).all()
    assert (shifted(images, 0.0, rng()) == images).all()
    for image, got in zip(images, rotated(images, 90, rng()), strict=True):
        assert any((got == np.rot90(image, turns)).all() for turns in (1, 3))
