"""Arrays of numbers as images of grey levels 0–255; the digits that scikit-learn contains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from kilonet.data.batches import exact_statistics
from kilonet.data.formats import IMAGE_SIDE
from kilonet.data.split import stratified_split
from kilonet.extras import import_failure

TEST_FRACTION = 0.2
_MAX_LEVEL = 16.0
# The split is part of the data set, so its seed is not a setting.
_SPLIT_SEED = 1_797
_CHUNK = 8192


def as_pixels(values: Tensor, darkest: float, brightest: float) -> Tensor:
    """Return ``values``, numbers (N, C, H, W), as images, uint8 (N, C, H, W).

    ``darkest`` becomes 0 and ``brightest`` 255; values beyond are clipped. Sides under 28 pixels
    are enlarged to 28 (bilinear): the networks' poolings need that many.
    """
    size = tuple(max(side, IMAGE_SIDE) for side in values.shape[2:])
    factor = 255.0 / (brightest - darkest) if brightest > darkest else 0.0
    return torch.cat(
        [
            _enlarged(((chunk.double() - darkest) * factor).float(), size)
            for chunk in torch.split(values, _CHUNK)
        ]
    )


def _enlarged(levels: Tensor, size: Sequence[int]) -> Tensor:
    if tuple(levels.shape[2:]) != tuple(size):
        levels = F.interpolate(levels, size=list(size), mode="bilinear", align_corners=False)
    return levels.round().clamp(0, 255).to(torch.uint8)


def statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel of ``images`` divided by 255.

    ``images``: uint8, (N, C, H, W). A constant channel has the standard deviation 1.
    """
    means, deviations = exact_statistics(images)
    return means, tuple(deviation or 1.0 for deviation in deviations)


def load_digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return train images, train labels, test images, test labels.

    scikit-learn's 1,797 scanned digits, enlarged to 28×28 pixels: a data set that needs no
    download. Images are uint8, (N, 1, 28, 28), 0–255; labels int64, (N,). The test split is a fixed
    stratified fifth.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine
    Learning Repository, 1998, doi:10.24432/C50P49 (its test part, which scikit-learn bundles).

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    images, labels = _scans()
    enlarged = enlarge(images)
    train, test = stratified_split(labels, TEST_FRACTION, _SPLIT_SEED)
    return enlarged[train], labels[train], enlarged[test], labels[test]


def enlarge(scans: Tensor) -> Tensor:
    """Return 8×8 scans with values 0–16, (N, 8, 8), as uint8 images, (N, 1, 28, 28), 0–255."""
    return as_pixels(scans.unsqueeze(1), 0.0, _MAX_LEVEL)


def _scans() -> tuple[Tensor, Tensor]:
    try:
        from sklearn import datasets
    except ImportError as error:
        raise import_failure("train", "scikit-learn", error) from error
    bunch = datasets.load_digits()
    return torch.from_numpy(bunch.images), torch.from_numpy(bunch.target.astype(np.int64))
