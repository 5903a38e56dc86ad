"""Distortions: each against an oracle or its statistics, and the grid, which must not change."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from digits_like import bar, shapes
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kilonet.evaluation.distortions import (
    DISTORTIONS,
    Distortion,
    Floats,
    Images,
    blurred,
    distort,
    inverted,
    noisy,
    on_paper,
    rotated,
    scaled,
    shifted,
    widened,
)

CONDITIONS = [(kind, strength) for kind in DISTORTIONS for strength in kind.strengths]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def change(before: Images, after: Images) -> float:
    return float(np.abs(before.astype(float) - after).mean())


def test_the_grid_is_what_the_documentation_says() -> None:
    """Changing it makes new results incomparable with the published ones."""
    assert {kind.name: kind.strengths for kind in DISTORTIONS} == {
        "shift": (1, 2, 3, 4),
        "scale": (0.5, 0.7, 1.2, 1.4),
        "rotation": (10, 20, 30, 45),
        "stroke width": (-1, 1, 2, 3),
        "blur": (0.5, 1, 1.5, 2),
        "noise": (25, 50, 75, 100),
        "inversion": (1,),
        "paper": (0.25, 0.5, 0.75, 1),
    }


@pytest.mark.parametrize(("kind", "strength"), CONDITIONS)
def test_shape_type_and_input_stay(kind: Distortion, strength: float) -> None:
    images = shapes(5)
    before = images.copy()
    result = distort(kind, strength, images)
    assert (result.shape, result.dtype) == (images.shape, np.uint8)
    assert (images == before).all()
    assert change(images, result) > 0.5


@pytest.mark.parametrize("kind", DISTORTIONS, ids=lambda kind: kind.name)
def test_a_higher_strength_changes_more(kind: Distortion) -> None:
    images = shapes(200)
    ladder = {strength: change(images, distort(kind, strength, images))
              for strength in kind.strengths}  # fmt: skip
    for above in (True, False):
        side = [s for s in ladder if (s > kind.neutral) == above]
        side.sort(key=lambda strength: abs(strength - kind.neutral))
        changes = [ladder[strength] for strength in side]
        assert changes == sorted(changes)


@pytest.mark.parametrize(
    "kind", [k for k in DISTORTIONS if k.name != "inversion"], ids=lambda k: k.name
)
def test_the_neutral_strength_changes_nothing(kind: Distortion) -> None:
    images = shapes(5)
    assert (distort(kind, kind.neutral, images) == images).all()


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(CONDITIONS), st.integers(1, 6))
def test_the_same_input_gives_the_same_output(
    condition: tuple[Distortion, float], count: int
) -> None:
    kind, strength = condition
    images = shapes(count)
    first = distort(kind, strength, images)
    np.random.default_rng(5).normal(size=3)
    assert (distort(kind, strength, images) == first).all()


def test_each_strength_has_its_own_random_numbers() -> None:
    by_name = {kind.name: kind for kind in DISTORTIONS}
    grey = np.full((3, 28, 28), 128, dtype=np.uint8)
    first, second = (
        (distort(by_name["noise"], strength, grey).astype(float) - 128) / strength
        for strength in (25, 50)
    )
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.1


def test_random_numbers_are_the_same_on_every_machine() -> None:
    """A hash of the random numbers: results of two machines compare only if it is the same."""
    by_name = {kind.name: kind for kind in DISTORTIONS}
    bright = distort(by_name["noise"], 100, np.full((4, 28, 28), 128, dtype=np.uint8)) > 128
    assert hashlib.sha256(np.packbits(bright).tobytes()).hexdigest()[:12] == "f94144a348f1"


def centres(images: Images) -> Floats:
    """Return the centres of mass, (N, 2), row and column."""
    mass = images.astype(np.float64)
    at = np.arange(28)
    rows, columns = mass.sum(axis=2) @ at, mass.sum(axis=1) @ at
    return np.stack([rows, columns], axis=1) / mass.sum(axis=(1, 2))[:, None]


@pytest.mark.parametrize("distance", [1, 2.5, 4])
def test_shift_has_the_requested_distance_and_any_direction(distance: float) -> None:
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
def test_rotation_is_pillows_in_either_direction(degrees: float) -> None:
    images, ways = shapes(60), []
    for image, got in zip(images, rotated(images, degrees, rng()), strict=True):
        gaps = []
        for angle in (degrees, -degrees):
            expected = Image.fromarray(image).rotate(angle, Image.Resampling.BILINEAR)
            gaps.append(np.abs(np.asarray(expected).astype(int) - got).max())
        assert min(gaps) <= 1 < max(gaps)
        ways.append(int(np.argmin(gaps)))
    assert 18 < sum(ways) < 42


def test_whole_pixels_and_quarter_rotations_are_exact() -> None:
    images = shapes(8)
    assert (scaled(images, 1.0, rng()) == images).all()
    assert (shifted(images, 0.0, rng()) == images).all()
    for image, got in zip(images, rotated(images, 90, rng()), strict=True):
        assert any((got == np.rot90(image, turns)).all() for turns in (1, 3))


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


def test_strength_0_of_paper_is_exact() -> None:
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
def test_ink_is_paler_and_still_brighter_than_paper(strength: float) -> None:
    drawn = on_paper(np.repeat(bar(), 500, axis=0), strength, rng()).astype(float)
    empty = on_paper(np.zeros((500, 28, 28), dtype=np.uint8), strength, rng()).astype(float)
    contrast = (drawn - empty)[:, 6:22, 10:14]
    light = 1 - strength * (0.1 + 0.4 / 2)
    assert contrast.mean() == pytest.approx(255 * light * (1 - strength / 2), rel=0.05)
    assert contrast.min() > 0


@pytest.mark.parametrize("pixels", [-3, -2, -1, 0, 1, 2, 3])
def test_a_bar_grows_by_the_number_of_pixels(pixels: int) -> None:
    row = widened(bar(6), pixels, rng())[0, 14]
    assert row.sum() / 255 == pytest.approx(6 + pixels, abs=0.01)
    column = widened(bar(6), pixels, rng())[0, :, 12]
    assert column.sum() / 255 == pytest.approx(16 + pixels, abs=0.01)


def test_width_0_is_exact() -> None:
    images = shapes()
    assert (widened(images, 0, rng()) == images).all()


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
    assert np.abs(widened(images, 2, rng()) - expected.numpy()).max() <= 0.5


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([-2, -1, 0, 1, 2]), st.integers(0, 1000))
def test_wider_is_never_darker_and_opposites_mirror(pixels: int, seed: int) -> None:
    images = shapes(3, seed)
    assert (widened(images, pixels, rng()) <= widened(images, pixels + 1, rng())).all()
    inside = np.s_[:, 4:-4, 4:-4]  # what is outside of the image is dark for both
    mirrored = 255 - widened(255 - images, -pixels, rng())
    assert np.abs(mirrored[inside].astype(int) - widened(images, pixels, rng())[inside]).max() <= 1


def test_blur_is_a_gaussian_of_that_width() -> None:
    dot = np.zeros((1, 28, 28), dtype=np.uint8)
    dot[0, 14, 14] = 255
    spread = blurred(dot, 1.0, rng())[0].astype(float)
    assert spread.sum() == pytest.approx(255, rel=0.05)
    variance = (spread.sum(axis=0) * (np.arange(28) - 14) ** 2).sum() / spread.sum()
    assert variance == pytest.approx(1, rel=0.1)


def test_images_are_blurred_independently() -> None:
    images = np.concatenate([shapes(1), np.zeros((1, 28, 28), dtype=np.uint8)])
    assert not blurred(images, 2.0, rng())[1].any()
