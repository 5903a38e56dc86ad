"""Fixtures every test file may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
IN_CI = bool(os.environ.get("CI"))


def unavailable(reason: str) -> None:
    """Skip for want of something outside pip; in CI its absence is a failure instead."""
    if IN_CI:
        pytest.fail(f"CI must have what its tests need: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """The folder with the real MNIST files, named by KILONET_DATA."""
    value = os.environ.get("KILONET_DATA", "")
    folder = Path(value).resolve() if value else Path("/nonexistent")
    if not (folder / "mnist" / "train-images-idx3-ubyte.gz").exists():
        unavailable("KILONET_DATA names no folder that holds mnist/train-images-idx3-ubyte.gz")
    return folder


@pytest.fixture(autouse=True)
def _isolated_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test writes into the working directory's runs."""
    monkeypatch.setenv("KILONET_RUNS", str(tmp_path / "runs"))
