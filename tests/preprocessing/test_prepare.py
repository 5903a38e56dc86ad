"""From a picture to 28×28, and each step from ink to 28×28."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from made import FIVE_APART, ONE, SEVEN, difference, drawn, on_paper
from PIL import Image
from scipy import ndimage

from kilonet.data.formats import read_idx_images
from kilonet.preprocessing import PictureError, prepare, split
from kilonet.preprocessing.errors import SeveralDigitsError
from kilonet.preprocessing.filters import stroke_width
from kilonet.preprocessing.prepare import (
    BOX,
    MAX_STROKE,
    MIN_STROKE,
    as_mnist_image,
    to_28x28,
)
from kilonet.preprocessing.segment import DigitInk


@pytest.mark.parametrize("strokes", [SEVEN, FIVE_APART, ONE])
def test_the_same_digit_on_any_background(strokes: list[list[tuple[float, float]]]) -> None:
    ink = drawn(strokes, side=280, width=20)
    reference = prepare(ink)
    nothing = np.dstack([np.zeros((280, 280, 3), dtype=np.uint8), ink])
    moved = np.roll(drawn(strokes, side=140, width=10), (9, -11), (0, 1))
    for other in (255 - ink, nothing, 90 + ink // 4, moved, drawn(strokes, 1050, 75)):
        assert difference(reference, prepare(other)) < 0.2
    assert difference(reference, prepare(on_paper(ink))) < 0.25


@pytest.mark.parametrize("width", [1, 3, 8, 20, 40])
def test_any_stroke_width(width: float) -> None:
    image = prepare(drawn(SEVEN, side=280, width=width))
    assert image.max() == 255
    assert 30 < (image > 127).sum() < 200


def test_preparing_twice_changes_nothing() -> None:
    image = prepare(drawn(SEVEN))
    assert np.array_equal(prepare(image), image)


def test_several_digits_are_refused_and_split_left_to_right() -> None:
    parts = [drawn(strokes, side=100, width=9) for strokes in (ONE, SEVEN, FIVE_APART)]
    with pytest.raises(SeveralDigitsError, match=r"shows 3 digits, and one .*--split"):
        prepare(np.hstack(parts))
    found = split(np.hstack(parts))
    assert len(found) == 3
    for image, part in zip(found, parts, strict=True):
        assert difference(prepare(part), image) < 0.2


def test_one_digit_splits_into_itself() -> None:
    ink = drawn(SEVEN)
    (image,) = split(ink)
    assert np.array_equal(image, prepare(ink))
    (again,) = split(image)
    assert np.array_equal(again, image)


def test_messages_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.png"
    Image.new("L", (50, 50)).save(path)
    with pytest.raises(PictureError, match=r"empty\.png is blank"):
        prepare(path)


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(
        np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.integers(0, 255)
    )
)
def test_any_pixels_give_an_image_or_an_error(grey: np.ndarray) -> None:  # type: ignore[type-arg]
    try:
        images = split(grey)
    except PictureError as error:
        assert error.kind in {"blank", "noise", "too-small"}
    else:
        assert all(image.shape == (28, 28) and image.max() > 0 for image in images)


@pytest.mark.mnist
def test_mnist_training_images_stay_almost_the_same(mnist_dir: Path) -> None:
    images = read_idx_images(mnist_dir / "mnist" / "train-images-idx3-ubyte.gz")[:300]
    differences = [difference(image, prepare(image)) for image in images]
    assert np.mean(np.array(differences) == 0) > 0.95
    assert np.mean(differences) < 0.01


def test_a_line_too_thin_for_its_length_is_refused() -> None:
    line = np.zeros((3000, 40), dtype=np.uint8)
    line[50:2950, 20:23] = 255
    for picture, kind in ((line, "noise"), (line.T, "blank")):
        with pytest.raises(PictureError) as caught:
            prepare(picture)
        assert caught.value.kind == kind


@pytest.mark.parametrize("shape", [(1_000_000, 1), (2, 500_000)])
def test_a_picture_of_one_pixels_width_takes_little_memory(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    tracemalloc.start()
    with pytest.raises(PictureError):
        prepare(picture)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 100e6


def of(ink: np.ndarray) -> DigitInk:  # type: ignore[type-arg]
    return DigitInk(np.pad(ink / 255.0, 1), 1.0)


def box(image: np.ndarray) -> tuple[int, int]:  # type: ignore[type-arg]
    rows, columns = (np.nonzero(image.max(axis=axis) > 127)[0] for axis in (1, 0))
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


@pytest.mark.parametrize("side", [16, 28, 50, 200])
def test_the_digit_fits_20_by_20_and_keeps_its_aspect_ratio(side: int) -> None:
    image = to_28x28(of(drawn(SEVEN, side, side / 8)), "it")
    assert image.shape == (28, 28)
    assert image.dtype == np.uint8
    assert box(image)[0] == pytest.approx(BOX, abs=2)


@pytest.mark.parametrize("strokes", [SEVEN, ONE])
@pytest.mark.parametrize("transposed", [False, True])
def test_the_centre_of_mass_is_that_of_mnist(
    strokes: list[list[tuple[float, float]]], transposed: bool
) -> None:
    ink = drawn(strokes, side=100, width=12)
    image = to_28x28(of(ink.T if transposed else ink), "it").astype(float)
    assert all(13.5 <= middle < 14.5 for middle in ndimage.center_of_mass(image))


def test_a_digit_of_the_right_size_is_averaged_over_areas() -> None:
    """Four pixels to one, nothing to thicken: Pillow's box filter is the oracle."""
    ink = drawn(SEVEN, side=100, width=10)
    rows, columns = (np.nonzero(ink.max(axis=axis))[0] for axis in (1, 0))
    cut = ink[rows[0] : rows[0] + 80, columns[0] : columns[0] + 80]
    expected = np.asarray(Image.fromarray(cut).reduce(4)).astype(float)
    image = to_28x28(DigitInk(cut / 255.0, 1.0), "it").astype(float)
    rows, columns = (np.nonzero(image.max(axis=axis))[0] for axis in (1, 0))
    assert np.abs(np.sort(image[image > 0]).sum() - expected.sum()) / expected.sum() < 0.05


@pytest.mark.parametrize("width", [2, 5, 12, 30])
def test_strokes_get_a_width_of_mnist(width: float) -> None:
    image = to_28x28(of(drawn(SEVEN, side=160, width=width)), "it")
    assert image.max() > 220
    found = stroke_width(image / 255.0)
    assert MIN_STROKE * 0.6 < found < MAX_STROKE * 1.1


@pytest.mark.parametrize("width", [3, 8, 15])
def test_stroke_width_is_measured(width: int) -> None:
    assert stroke_width(drawn(SEVEN, side=200, width=width) / 255.0) == pytest.approx(
        width, rel=0.15
    )


def prepared() -> np.ndarray:  # type: ignore[type-arg]
    return to_28x28(of(drawn(SEVEN, side=100, width=12)), "it")


def test_a_prepared_image_stays_as_it_is() -> None:
    image = prepared()
    found, inverted = as_mnist_image(image), as_mnist_image(255 - image)
    assert found is not None
    assert inverted is not None
    assert np.array_equal(found, image)
    assert np.array_equal(inverted, image)


def test_images_that_are_not_prepared() -> None:
    image = prepared()
    for other in (
        np.roll(image, 3, axis=0),
        image // 2,
        np.maximum(image, 20),
        image[:27],
        np.zeros_like(image),
        np.pad(image[::2, ::2], 7),
    ):
        assert as_mnist_image(other) is None
