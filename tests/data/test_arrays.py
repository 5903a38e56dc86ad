"""Arrays as images, and scikit-learn's digits."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn import datasets

from kilonet.data.arrays import as_pixels, enlarge, load_digits, statistics


@given(
    st.floats(-1e3, 1e3),
    st.floats(0.1, 1e4),
    st.integers(28, 40),
    st.integers(0, 2**32 - 1),
)
def test_grey_levels_survive_any_scale(dark: float, width: float, side: int, seed: int) -> None:
    levels = torch.randint(0, 256, (2, 1, side, 30), generator=torch.Generator().manual_seed(seed))
    values = dark + levels.double() / 255 * width
    assert torch.equal(as_pixels(values, dark, dark + width), levels.to(torch.uint8))


def test_values_beyond_the_range_are_clipped() -> None:
    values = torch.tensor([-5.0, 0.5, 7.0]).repeat(28, 28).reshape(1, 1, 28, 84)
    assert as_pixels(values, 0.0, 1.0)[0, 0, 0, :3].tolist() == [0, 128, 255]


def test_an_empty_range_is_black() -> None:
    assert not as_pixels(torch.full((1, 1, 28, 28), 3.0), 3.0, 3.0).any()


@pytest.mark.parametrize(
    ("size", "expected"), [((8, 8), (28, 28)), ((1, 40), (28, 40)), ((32, 30), (32, 30))]
)
def test_only_short_sides_are_enlarged(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert as_pixels(torch.ones(2, 3, *size), 0.0, 2.0).shape == (2, 3, *expected)


def test_statistics_are_numpys() -> None:
    images = torch.randint(0, 256, (5, 3, 9, 7), generator=torch.Generator().manual_seed(0))
    mean, std = statistics(images)
    channels = images.permute(1, 0, 2, 3).reshape(3, -1).numpy() / 255
    assert mean == pytest.approx(channels.mean(axis=1))
    assert std == pytest.approx(channels.std(axis=1))


def test_a_constant_channel_has_the_deviation_1() -> None:
    assert statistics(torch.zeros(2, 1, 4, 4, dtype=torch.uint8)) == ((0.0,), (1.0,))


TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = load_digits()


def test_shapes_types_and_range() -> None:
    assert TRAIN_IMAGES.shape == (1_438, 1, 28, 28) and TEST_IMAGES.shape == (359, 1, 28, 28)
    assert TRAIN_IMAGES.dtype == TEST_IMAGES.dtype == torch.uint8
    assert TRAIN_LABELS.dtype == TEST_LABELS.dtype == torch.int64
    assert TRAIN_IMAGES.min() == 0 and TRAIN_IMAGES.max() == 255


def test_every_scan_is_in_exactly_one_split_with_its_label() -> None:
    bunch = datasets.load_digits()
    everything = enlarge(torch.from_numpy(bunch.images)).flatten(1).tolist()
    known = sorted(zip(map(tuple, everything), bunch.target.tolist(), strict=True))
    images = torch.cat([TRAIN_IMAGES, TEST_IMAGES]).flatten(1).tolist()
    labels = torch.cat([TRAIN_LABELS, TEST_LABELS]).tolist()
    assert sorted(zip(map(tuple, images), labels, strict=True)) == known


def test_the_test_split_is_a_fifth_of_every_class() -> None:
    test, train = TEST_LABELS.bincount(), TRAIN_LABELS.bincount()
    assert ((test - 0.2 * (test + train)).abs() < 1).all()


def test_the_split_never_changes() -> None:
    digest = hashlib.sha256(TEST_IMAGES.numpy().tobytes() + TEST_LABELS.numpy().tobytes())
    assert digest.hexdigest()[:16] == "ee21d418e869ccab"


def test_enlarging_is_pillows_bilinear_resize() -> None:
    scans = datasets.load_digits().images[:100]
    expected = [
        np.asarray(Image.fromarray((scan * 255 / 16).astype(np.float32)).resize((28, 28), 2))
        for scan in scans
    ]
    got = enlarge(torch.from_numpy(scans)).squeeze(1).numpy()
    np.testing.assert_allclose(got, np.stack(expected), atol=0.51)
