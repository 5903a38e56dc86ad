"""Fixtures every test file may use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

REPOSITORY = Path(__file__).resolve().parents[1]
IN_CI = bool(os.environ.get("CI"))

# In CI the same examples every time: what fails there fails for a change, not by chance.
settings.register_profile("ci", derandomize=True)
settings.load_profile("ci" if IN_CI else "default")


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


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium, the one that the system has."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        unavailable("no chromium on the path")
    from playwright.sync_api import sync_playwright

    quiet = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=quiet)
        yield opened
        opened.close()
