"""MNIST's training images as arrays, for the libraries that take the whole set in memory."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def training_arrays(folder: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return images, (60000, 28, 28), and labels, (60000,), from the published files."""
    images = _values(Path(folder, "train-images-idx3-ubyte.gz"), 16).reshape(-1, 28, 28)
    return images, _values(Path(folder, "train-labels-idx1-ubyte.gz"), 8)


def _values(path: Path, header: int) -> NDArray[np.uint8]:
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header)
