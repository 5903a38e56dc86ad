"""The shared run's reader, and a picture that it reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kilonet.reading import Reader, reader
from trained import Trained, trained


@pytest.fixture(scope="session")
def finished() -> Trained:
    """The shared run; not to be changed."""
    return trained()


@pytest.fixture(scope="session")
def reads(finished: Trained) -> Reader:
    """A reader with the shared run's network."""
    return reader(finished.path)


@pytest.fixture
def zero(tmp_path: Path) -> Path:
    """A file with a drawn 0."""
    y, x = np.mgrid[-1:1:90j, -1:1:70j]
    ring = np.abs(np.hypot(x / 0.55, y / 0.75) - 1) < 0.18
    path = tmp_path / "zero.png"
    Image.fromarray(np.where(ring, 20, 240).astype(np.uint8)).save(path)
    return path
