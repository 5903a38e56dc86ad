"""A reader that knows a 0 and a 1, a picture of a 0, and the shared run."""

from __future__ import annotations

from pathlib import Path

import pytest

from classifier import ring, write_classifier
from kilonet.inference import Reader, reader
from trained import Trained, trained


@pytest.fixture(scope="session")
def finished() -> Trained:
    """The shared run; do not change it."""
    return trained()


@pytest.fixture(scope="session")
def reads(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """A reader that knows a 0 and a 1."""
    return reader(write_classifier(tmp_path_factory.mktemp("reading") / "templates.onnx"))


@pytest.fixture
def zero(tmp_path: Path) -> Path:
    """A file with a drawn 0."""
    return ring(tmp_path / "zero.png")
