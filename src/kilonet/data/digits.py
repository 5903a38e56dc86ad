"""scikit-learn's 1,797 scanned digits, brought to MNIST's size: a data set that needs no network.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
Repository, 1998, doi:10.24432/C50P49 (its test part, which scikit-learn bundles).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from kilonet.data.arrays import as_pixels
from kilonet.data.split import stratified_split
from kilonet.errors import MissingExtraError

TEST_FRACTION = 0.2
_BRIGHTEST = 16.0
# The split is part of what the set is, so its seed is no setting.
_SEED = 1_797


def load_digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return train images, train labels, test images, test labels.

    Images are uint8, (N, 1, 28, 28), 0–255; labels int64, (N,). The test part is a fixed
    stratified fifth. Raises ``MissingExtraError`` where scikit-learn is not installed.
    """
    images, labels = _scans()
    enlarged = enlarge(images)
    train, test = stratified_split(labels, TEST_FRACTION, _SEED)
    return enlarged[train], labels[train], enlarged[test], labels[test]


def enlarge(scans: Tensor) -> Tensor:
    """Return 8×8 scans with values 0–16, (N, 8, 8), as uint8 images, (N, 1, 28, 28), 0–255."""
    return as_pixels(scans.unsqueeze(1), 0.0, _BRIGHTEST)


def _scans() -> tuple[Tensor, Tensor]:
    try:
        from sklearn import datasets
    except ImportError as error:
        raise MissingExtraError("train", "scikit-learn") from error
    bunch = datasets.load_digits()
    return torch.from_numpy(bunch.images), torch.from_numpy(bunch.target.astype(np.int64))
