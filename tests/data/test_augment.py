"""Augmentation, compared with Pillow, which is independent of grids, batches and PyTorch."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from kilonet.data import augment
from kilonet.data.augment import Augmentation, Interpolation, affine, crop_and_resize, erased
from kilonet.errors import UsageError

RESAMPLING = {"nearest": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR}
MODES: list[Interpolation] = ["nearest", "bilinear"]


def strokes(count: int, channels: int = 1, side: int = 28, seed: int = 0) -> torch.Tensor:
    """Smooth random blobs in a black margin: within it Pillow and PyTorch blend alike."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, channels, 6, 6, generator=rng) * 255
    inner = torch.nn.functional.interpolate(coarse, size=(side - 6, side - 6), mode="bicubic")
    return torch.nn.functional.pad(inner.clamp(0, 255).to(torch.uint8), (3, 3, 3, 3))


def uniform(count: int, low: float, high: float, seed: int) -> torch.Tensor:
    return low + (high - low) * torch.rand(count, generator=torch.Generator().manual_seed(seed))


def still(count: int) -> dict[str, Any]:
    """The parameters that change nothing."""
    return {
        "angle": torch.zeros(count),
        "translate": torch.zeros(count, 2),
        "scale": torch.ones(count),
        "shear": torch.zeros(count),
    }


def assert_close(got: torch.Tensor, oracle: list[Any], mode: Interpolation) -> None:
    expected = np.stack([np.asarray(image) for image in oracle]).astype(int)
    difference = np.abs(got[:, 0].numpy().astype(int) - expected)
    if mode == "bilinear":
        assert difference.max() <= 1
    # Nearest: a point half-way between two pixels may fall to either.
    assert (difference > 1).mean() < 2e-4
    assert expected.std() > 20  # there was something to compare


@pytest.mark.parametrize("mode", MODES)
def test_rotation_is_pillows(mode: Interpolation) -> None:
    images, angles = strokes(200), uniform(200, -180, 180, seed=1)
    got = affine(images, **{**still(200), "angle": angles}, interpolation=mode)
    pairs = zip(images[:, 0].numpy(), angles.tolist(), strict=True)
    oracle = [Image.fromarray(image).rotate(angle, RESAMPLING[mode]) for image, angle in pairs]
    assert_close(got, oracle, mode)


def pillow_transform(
    image: NDArray[np.uint8], forward: NDArray[np.float64], shift: list[float], mode: Interpolation
) -> Image.Image:
    """Apply ``centre + forward · (p − centre) + shift`` to the points of the image."""
    height, width = image.shape
    centre = np.array([width / 2, height / 2])
    inverse = np.linalg.inv(forward)
    offset = centre - inverse @ (centre + np.array(shift))
    rows = np.column_stack([inverse, offset]).flatten().tolist()
    return Image.fromarray(image).transform(
        (width, height), Image.Transform.AFFINE, rows, RESAMPLING[mode]
    )


def forward_matrix(angle: float, scale: float, shear: float) -> NDArray[np.float64]:
    """Scale, then shear along x, then turn counter-clockwise, where y points down."""
    turn, slope = np.deg2rad(angle), np.tan(np.deg2rad(shear))
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    matrix: NDArray[np.float64] = rotation @ np.array([[1.0, slope], [0.0, 1.0]]) * scale
    return matrix


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(28, 28), (20, 34)])
def test_all_changes_together_are_pillows_transform(
    mode: Interpolation, shape: tuple[int, int]
) -> None:
    height, width = shape
    images = strokes(150, side=max(shape))[:, :, :height, :width].contiguous()
    images[:, :, -3:] = images[:, :, :, -3:] = 0
    parameters = {
        "angle": uniform(150, -60, 60, seed=1),
        "translate": uniform(300, -4, 4, seed=2).view(150, 2),
        "scale": uniform(150, 0.7, 1.3, seed=3),
        "shear": uniform(150, -25, 25, seed=4),
    }
    got = affine(images, **parameters, interpolation=mode)
    oracle = []
    for index, image in enumerate(images[:, 0].numpy()):
        own: dict[str, Any] = {name: values[index].tolist() for name, values in parameters.items()}
        forward = forward_matrix(own["angle"], own["scale"], own["shear"])
        oracle.append(pillow_transform(image, forward, own["translate"], mode))
    assert_close(got, oracle, mode)


@pytest.mark.parametrize("mode", MODES)
def test_whole_pixels_and_quarter_rotations_are_exact(mode: Interpolation) -> None:
    images = torch.randint(0, 256, (4, 2, 28, 28), dtype=torch.uint8)
    assert torch.equal(affine(images, **still(4), interpolation=mode), images)
    turned = affine(images, **{**still(4), "angle": torch.full((4,), 90.0)}, interpolation=mode)
    assert torch.equal(turned, torch.rot90(images, 1, dims=(2, 3)))
    shift = torch.tensor([[3.0, -2.0]]).expand(4, 2)
    moved = affine(images, **{**still(4), "translate": shift}, interpolation=mode)
    assert torch.equal(moved[:, :, :26, 3:], images[:, :, 2:, :25])
    assert moved[:, :, 26:].sum() == 0 and moved[:, :, :, :3].sum() == 0


def test_bilinear_values_are_rounded() -> None:
    stripes = torch.tensor([0, 255], dtype=torch.uint8).repeat(14).expand(1, 1, 28, 28)
    quarter = {**still(1), "translate": torch.tensor([[0.25, 0.0]])}
    # 63.75 and 191.25
    assert set(affine(stripes, **quarter)[..., 1:].flatten().tolist()) == {64, 191}


def test_channels_move_together() -> None:
    grey = strokes(10)
    parameters = {**still(10), "angle": uniform(10, -40, 40, seed=1)}
    colour = affine(grey.expand(10, 3, 28, 28), **parameters)
    assert torch.equal(colour, affine(grey, **parameters).expand(10, 3, 28, 28))


@pytest.mark.parametrize("side", [1, 7, 20, 21, 22, 28])
def test_crop_is_pillows_resize_of_the_centre(side: int) -> None:
    images = torch.randint(0, 256, (50, 1, 28, 28), dtype=torch.uint8)
    low = (28 - side) // 2
    box = (low, low, low + side, low + side)
    oracle = [
        np.asarray(
            Image.fromarray(image).crop(box).resize((28, 28), Image.Resampling.BILINEAR)
        ).astype(int)
        for image in images[:, 0].numpy()
    ]
    got = crop_and_resize(images, side)[:, 0].numpy().astype(int)
    assert np.abs(got - np.stack(oracle)).max() <= 1


def test_crop_larger_than_the_image_is_refused() -> None:
    with pytest.raises(UsageError, match="crop is 29 pixels; the images are 28×28"):
        Augmentation(crop=29)(strokes(2), torch.Generator())


EVERYTHING = Augmentation(
    rotation=15, translation=0.1, scale=0.2, shear=10, crop=22, crop_probability=0.3, elastic=1.0,
    stroke=1.0, blur=1.0, paper=1.0, noise=20, inversion=0.5, appearance_probability=0.5,
)  # fmt: skip


def apply(augmentation: Augmentation, images: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return augmentation(images, torch.Generator().manual_seed(seed))


def test_the_result_depends_only_on_the_generator_and_the_input_is_unchanged() -> None:
    images = strokes(64)
    before = images.clone()
    first = apply(EVERYTHING, images)
    torch.manual_seed(99)
    assert torch.equal(apply(EVERYTHING, images), first)
    assert not torch.equal(apply(EVERYTHING, images, seed=1), first)
    assert torch.equal(images, before)
    assert first.dtype == torch.uint8 and first.shape == images.shape


def test_each_image_has_its_own_parameters() -> None:
    same = strokes(1).expand(64, 1, 28, 28)
    result = apply(Augmentation(rotation=15), same).flatten(1)
    assert len({tuple(row) for row in result.tolist()}) > 60


def test_identity() -> None:
    images = strokes(3)
    assert Augmentation().is_identity
    assert Augmentation(crop=22, crop_probability=0).is_identity
    assert apply(Augmentation(), images) is images
    assert not Augmentation(rotation=0.1).is_identity
    assert not Augmentation(translation=0.1).is_identity
    assert not Augmentation(scale=0.1).is_identity
    assert not Augmentation(shear=0.1).is_identity
    assert not Augmentation(crop=22).is_identity
    assert not Augmentation(elastic=0.1).is_identity
    for name in ("stroke", "blur", "paper", "noise", "inversion"):
        assert not Augmentation(**{name: 0.1}).is_identity
    assert Augmentation(noise=1, appearance_probability=0).is_identity
    assert not Augmentation(noise=1, inversion=0.1, appearance_probability=0).is_identity


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """What ``affine`` was last called with."""
    seen: dict[str, torch.Tensor] = {}

    def spy(images: torch.Tensor, **parameters: Any) -> torch.Tensor:
        seen.update(parameters)
        return images

    monkeypatch.setattr(augment, "affine", spy)
    return seen


def test_parameters_fill_their_ranges_evenly(drawn: dict[str, torch.Tensor]) -> None:
    images = torch.zeros(4000, 1, 28, 20, dtype=torch.uint8)
    apply(Augmentation(rotation=15, translation=0.1, scale=0.2, shear=10), images)
    expected = {"angle": (-15, 15), "scale": (0.8, 1.2), "shear": (-10, 10)}
    ranges = {name: (drawn[name], low, high) for name, (low, high) in expected.items()}
    ranges["x"] = (drawn["translate"][:, 0], -2.0, 2.0)
    ranges["y"] = (drawn["translate"][:, 1], -2.8, 2.8)
    for values, low, high in ranges.values():
        assert low <= values.min() and values.max() <= high
        counts = torch.histc(values, bins=10, min=low, max=high)
        assert counts.min() > 300 and counts.max() < 500  # 400 ± 19 each
    table = torch.stack([values for values, _, _ in ranges.values()])
    assert (torch.corrcoef(table) - torch.eye(5)).abs().max() < 0.08


def test_one_option_does_not_change_the_random_numbers_of_others(
    drawn: dict[str, torch.Tensor],
) -> None:
    images = torch.zeros(50, 1, 28, 28, dtype=torch.uint8)
    apply(Augmentation(rotation=15), images)
    alone = drawn["angle"]
    apply(EVERYTHING, images)
    assert torch.equal(drawn["angle"], alone)


def test_appearance_uses_random_numbers_after_geometry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, the generator is in the same state as before; with it, in a later one."""
    images, geometry = strokes(8), {"rotation": 15.0, "elastic": 1.0}
    before, after = torch.Generator().manual_seed(0), torch.Generator().manual_seed(0)
    plain = Augmentation(**geometry)(images, before)
    torch.rand(6, 8, generator=after)
    torch.randn(8, 2, augment.CONTROLS, augment.CONTROLS, generator=after)
    assert torch.equal(before.get_state(), after.get_state())
    monkeypatch.setattr(augment, "change_appearance", lambda images, *_, **__: images)
    assert torch.equal(apply(Augmentation(**geometry, noise=9.0), images), plain)


def test_elastic_displacement_is_passed_to_the_resampling(drawn: dict[str, torch.Tensor]) -> None:
    images = torch.zeros(2000, 1, 28, 20, dtype=torch.uint8)
    apply(Augmentation(elastic=1.5), images)
    assert drawn["displacement"].shape == (2000, 2, 28, 20)
    assert drawn["displacement"].square().mean().sqrt() == pytest.approx(1.5, abs=0.05)


@pytest.mark.parametrize("mode", MODES)
def test_whole_pixel_displacements_are_exact(mode: Interpolation) -> None:
    images = strokes(3)
    moved = torch.zeros(3, 2, 28, 28)
    moved[:, 0, :14] = 2.0  # the upper half looks two pixels to the right,
    moved[:, 1, 14:] = -1.0  # the lower half one pixel up
    got = affine(images, **still(3), interpolation=mode, displacement=moved)
    expected = torch.zeros_like(images)
    expected[..., :14, :-2] = images[..., :14, 2:]
    expected[..., 14:, :] = images[..., 13:-1, :]
    assert torch.equal(got, expected)


def test_the_crop_has_its_probability() -> None:
    images = torch.randint(0, 256, (4000, 1, 8, 8), dtype=torch.uint8)
    result = apply(Augmentation(crop=6, crop_probability=0.1), images)
    changed = (result != images).flatten(1).any(dim=1)
    assert 340 < changed.sum() < 460  # 400 ± 19
    assert torch.equal(result[changed], crop_and_resize(images[changed], 6))
    certain = apply(Augmentation(crop=6), images)
    assert torch.equal(certain, crop_and_resize(images, 6))


def test_the_choice_of_cropped_images_is_independent(drawn: dict[str, torch.Tensor]) -> None:
    images = torch.randint(0, 256, (4000, 1, 8, 8), dtype=torch.uint8)
    result = apply(Augmentation(15, 0.1, 0.2, 10, crop=6, crop_probability=0.5), images)
    cropped = (result != images).flatten(1).any(dim=1).float()
    others = [drawn["angle"], *drawn["translate"].T, drawn["scale"], drawn["shear"]]
    assert torch.corrcoef(torch.stack([cropped, *others]))[0, 1:].abs().max() < 0.08


@settings(max_examples=30, deadline=None)
@given(
    st.builds(
        Augmentation,
        rotation=st.floats(0, 180),
        translation=st.floats(0, 1),
        scale=st.floats(0, 0.99),
        shear=st.floats(0, 89),
        crop=st.none() | st.integers(1, 28),
        crop_probability=st.floats(0, 1),
        interpolation=st.sampled_from(MODES),
        elastic=st.floats(0, 10),
    )
)
def test_any_augmentation_keeps_shape_type_and_the_grey_levels(given: Augmentation) -> None:
    images = strokes(6).clamp(max=200)
    result = apply(given, images)
    assert result.shape == images.shape and result.dtype == torch.uint8
    assert result.max() <= images.max()


def test_a_batch_takes_milliseconds() -> None:
    """A few ms on one core; the bound only catches a fall into per-sample work."""
    images, generator = strokes(128), torch.Generator().manual_seed(0)
    times = []
    for _ in range(20):
        started = time.process_time()  # others' load is not this code's time
        EVERYTHING(images, generator)
        times.append(time.process_time() - started)
    assert min(times) < 0.02


def test_flip_has_its_probability() -> None:
    images = torch.arange(1000 * 12, dtype=torch.int64).remainder(251).to(torch.uint8)
    images = images.view(1000, 1, 3, 4)
    assert torch.equal(Augmentation(flip=1)(images, torch.Generator()), images.flip(3))
    half = Augmentation(flip=0.5)(images, torch.Generator().manual_seed(0))
    mirrored = (half == images.flip(3)).flatten(1).all(dim=1)
    assert (mirrored | (half == images).flatten(1).all(dim=1)).all()
    assert 400 < int(mirrored.sum()) < 600


def test_erasing_sets_a_square_around_each_centre_to_0() -> None:
    images = torch.full((3, 2, 9, 12), 200, dtype=torch.uint8)
    centres = torch.tensor([[0.5, 0.0, 0.99], [0.5, 0.0, 0.99]])
    found = erased(images, centres, 4)
    blank = (found == 0).all(dim=1)
    assert blank.sum(dim=(1, 2)).tolist() == [16, 4, 9]
    assert blank[0, 2:6, 4:8].all() and blank[1, :2, :2].all() and blank[2, 6:, 9:].all()
    assert ((found == 0) | (found == 200)).all()
    whole = Augmentation(erase=4)(images, torch.Generator().manual_seed(1))
    assert (whole == 0).any() and (whole == 200).any()


def test_flips_and_erasing_do_not_change_other_random_numbers() -> None:
    images = strokes(20)
    plain = Augmentation(rotation=10)(images, torch.Generator().manual_seed(2))
    flipped = Augmentation(rotation=10, flip=1)(images, torch.Generator().manual_seed(2))
    assert torch.equal(flipped, plain.flip(3))
