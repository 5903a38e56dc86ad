"""Images for the tests of distortions: smooth shapes in a black margin, and bars."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from kilonet.evaluation.distortions import Images


def shapes(count: int = 20, seed: int = 0) -> Images:
    """Return smooth random blobs, uint8 (N, 28, 28), with nothing near the edge."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(0, 1, (count, 28, 28)), (0, 2, 2))
    smooth[:, :6] = smooth[:, -6:] = smooth[:, :, :6] = smooth[:, :, -6:] = 0
    bright = ndimage.gaussian_filter(np.maximum(smooth, 0), (0, 1, 1))
    return np.rint(255 * bright / bright.max(axis=(1, 2), keepdims=True)).astype(np.uint8)


def bar(width: int = 4) -> Images:
    """Return one image of an upright bar."""
    image = np.zeros((1, 28, 28), dtype=np.uint8)
    image[:, 6:22, 10 : 10 + width] = 255
    return image
