"""The whole way, from a picture to 28×28."""

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

from kilonet.data.idx import read_idx_images
from kilonet.preprocessing import PictureError, prepare, split
from kilonet.preprocessing.failures import SeveralDigitsError


@pytest.mark.parametrize("strokes", [SEVEN, FIVE_APART, ONE])
def test_the_same_digit_whatever_it_comes_on(strokes: list[list[tuple[float, float]]]) -> None:
    ink = drawn(strokes, side=280, width=20)
    reference = prepare(ink)
    nothing = np.dstack([np.zeros((280, 280, 3), dtype=np.uint8), ink])
    moved = np.roll(drawn(strokes, side=140, width=10), (9, -11), (0, 1))
    for other in (255 - ink, nothing, 90 + ink // 4, moved, drawn(strokes, 1050, 75)):
        assert difference(reference, prepare(other)) < 0.2
    assert difference(reference, prepare(on_paper(ink))) < 0.25


@pytest.mark.parametrize("width", [1, 3, 8, 20, 40])
def test_any_pen(width: float) -> None:
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
def test_mnists_own_training_images_come_through(mnist_dir: Path) -> None:
    images = read_idx_images(mnist_dir / "mnist" / "train-images-idx3-ubyte.gz")[:300]
    differences = [difference(image, prepare(image)) for image in images]
    assert np.mean(np.array(differences) == 0) > 0.95
    assert np.mean(differences) < 0.01


def test_a_line_too_thin_for_its_length_is_noise() -> None:
    line = np.zeros((3000, 40), dtype=np.uint8)
    line[50:2950, 20:23] = 255
    for picture in (line, line.T):
        with pytest.raises(PictureError) as caught:
            prepare(picture)
        assert caught.value.kind == "noise"


@pytest.mark.parametrize("shape", [(1_000_000, 1), (2, 500_000)])
def test_a_picture_of_one_pixels_width_takes_little_memory(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    tracemalloc.start()
    with pytest.raises(PictureError):
        prepare(picture)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 100e6
