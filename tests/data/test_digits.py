from __future__ import annotations

import hashlib

import numpy as np
import torch
from PIL import Image
from sklearn import datasets

from kilonet.data.digits import enlarge, load_digits

TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = load_digits()


def test_shapes_types_and_range() -> None:
    assert TRAIN_IMAGES.shape == (1_438, 1, 28, 28) and TEST_IMAGES.shape == (359, 1, 28, 28)
    assert TRAIN_IMAGES.dtype == TEST_IMAGES.dtype == torch.uint8
    assert TRAIN_LABELS.dtype == TEST_LABELS.dtype == torch.int64
    assert TRAIN_IMAGES.min() == 0 and TRAIN_IMAGES.max() == 255


def test_every_scan_is_in_exactly_one_part_with_its_own_label() -> None:
    bunch = datasets.load_digits()
    everything = enlarge(torch.from_numpy(bunch.images)).flatten(1).tolist()
    known = sorted(zip(map(tuple, everything), bunch.target.tolist(), strict=True))
    images = torch.cat([TRAIN_IMAGES, TEST_IMAGES]).flatten(1).tolist()
    labels = torch.cat([TRAIN_LABELS, TEST_LABELS]).tolist()
    assert sorted(zip(map(tuple, images), labels, strict=True)) == known


def test_test_part_is_a_fifth_of_every_class() -> None:
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
