"""Stroke width and blur."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from digits_like import bar, shapes
from hypothesis import given, settings
from hypothesis import strategies as st

from kilonet.evaluation.distortions.pen import blurred, widened

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("pixels", [-3, -2, -1, 0, 1, 2, 3])
def test_a_bar_grows_by_as_many_pixels(pixels: int) -> None:
    row = widened(bar(6), pixels, RNG)[0, 14]
    assert row.sum() / 255 == pytest.approx(6 + pixels, abs=0.01)
    column = widened(bar(6), pixels, RNG)[0, :, 12]
    assert column.sum() / 255 == pytest.approx(16 + pixels, abs=0.01)


def test_without_a_change_it_is_exact() -> None:
    images = shapes()
    assert (widened(images, 0, RNG) == images).all()


def test_two_pixels_wider_is_a_dilation_by_a_disc_on_half_pixels() -> None:
    """PyTorch's unfolding is the oracle: the greatest of the thirteen half pixels around."""
    images = shapes()
    fine = torch.from_numpy(images.astype(np.float32)).repeat_interleave(2, 1)
    fine = fine.repeat_interleave(2, 2).unsqueeze(1)
    around = torch.nn.functional.unfold(fine, 5, padding=2).view(len(images), 25, 56, 56)
    y, x = np.mgrid[-2:3, -2:3]
    disc = torch.from_numpy((y * y + x * x <= 4).ravel())
    assert disc.sum() == 13
    expected = torch.nn.functional.avg_pool2d(around[:, disc].amax(dim=1), 2)
    assert np.abs(widened(images, 2, RNG) - expected.numpy()).max() <= 0.5


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([-2, -1, 0, 1, 2]), st.integers(0, 1000))
def test_more_is_never_darker_and_opposites_mirror(pixels: int, seed: int) -> None:
    images = shapes(3, seed)
    assert (widened(images, pixels, RNG) <= widened(images, pixels + 1, RNG)).all()
    inside = np.s_[:, 4:-4, 4:-4]  # what is outside of the image is dark for both
    mirrored = 255 - widened(255 - images, -pixels, RNG)
    assert np.abs(mirrored[inside].astype(int) - widened(images, pixels, RNG)[inside]).max() <= 1


def test_blur_is_a_gaussian_of_that_width() -> None:
    dot = np.zeros((1, 28, 28), dtype=np.uint8)
    dot[0, 14, 14] = 255
    spread = blurred(dot, 1.0, RNG)[0].astype(float)
    assert spread.sum() == pytest.approx(255, rel=0.05)
    variance = (spread.sum(axis=0) * (np.arange(28) - 14) ** 2).sum() / spread.sum()
    assert variance == pytest.approx(1, rel=0.1)


def test_images_are_blurred_each_for_itself() -> None:
    images = np.concatenate([shapes(1), np.zeros((1, 28, 28), dtype=np.uint8)])
    assert not blurred(images, 2.0, RNG)[1].any()
