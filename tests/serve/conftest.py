"""A model of a 0 and a 1, a picture, and a running service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from classifier import ring, write_classifier
from service import Live, live


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's file."""
    return write_classifier(tmp_path_factory.mktemp("serve") / "templates.onnx")


@pytest.fixture(scope="session")
def zero(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a picture of a 0."""
    return ring(tmp_path_factory.mktemp("zero") / "zero.png").read_bytes()


@pytest.fixture(scope="session")
def service(model: Path) -> Iterator[Live]:
    """A service with small limits, shared by all tests that do not change it."""
    limits = ["--max-body", "300000", "--max-batch", "4", "--max-pixels", "100000"]
    with live(model, *limits, "--body-seconds", "1") as running:
        yield running


@pytest.fixture
def client(service: Live) -> Iterator[httpx.Client]:
    """A client of it."""
    with service.client() as opened:
        yield opened
