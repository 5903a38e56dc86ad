"""The benchmarks are run from the checkout's root, not installed."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

PARTS = {"train": 20, "t10k": 12}


@pytest.fixture(scope="session")
def few_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with MNIST's four files, of a few random images: 20 to train on, 12 to test."""
    folder = tmp_path_factory.mktemp("digits")
    random = np.random.default_rng(0)
    for part, count in PARTS.items():
        images = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = random.integers(0, 10, count, dtype=np.uint8)
        for kind, values in {"images-idx3": images, "labels-idx1": labels}.items():
            shape = b"".join(n.to_bytes(4, "big") for n in values.shape)
            content = bytes([0, 0, 8, values.ndim]) + shape + values.tobytes()
            (folder / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(content))
    return folder
