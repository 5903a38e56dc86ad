"""Fixtures that every test may use, and what happens where a test needs what the machine lacks.

A test that needs a program or data from outside pip says so with a marker: ``browser``,
``compiler`` or ``mnist``. Where the machine lacks it, the test is skipped with the reason; with
``KILONET_REQUIRE_ALL=1``, which CI sets, it fails.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

REPOSITORY = Path(__file__).resolve().parents[1]
REQUIRE_ALL = os.environ.get("KILONET_REQUIRE_ALL") == "1"
MARKER_OF_FIXTURE = {"browser": "browser", "mnist_dir": "mnist"}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
COMPILERS = ("cc", "gcc", "clang")

# In CI the same examples every time: what fails there fails for a change, not by chance.
settings.register_profile("ci", derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

# A shell starts background jobs with Ctrl-C ignored; the tests of Ctrl-C need Python's handler.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _first_on_path(names: tuple[str, ...]) -> str | None:
    return next((path for name in names if (path := shutil.which(name))), None)


def _data_dir() -> Path:
    """Return the folder that ``KILONET_DATA`` names, as an absolute path."""
    value = os.environ.get("KILONET_DATA", "")
    return Path(value).resolve() if value else Path("/nonexistent")


def _missing(marker: pytest.Mark) -> str | None:
    """Return what ``marker`` requires and this machine lacks, or None."""
    if marker.name == "browser" and _first_on_path(BROWSERS) is None:
        return "no Chromium on the PATH"
    if marker.name == "compiler":
        names = marker.args or COMPILERS
        if _first_on_path(names) is None:
            return f"no C compiler ({', '.join(names)}) on the PATH"
    if marker.name == "mnist":
        for name in marker.args or ("mnist",):
            if not (_data_dir() / name / "train-images-idx3-ubyte.gz").exists():
                return f"KILONET_DATA names no folder with {name}/train-images-idx3-ubyte.gz"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use a fixture for what that fixture requires."""
    for item in items:
        for fixture, marker in MARKER_OF_FIXTURE.items():
            used = fixture in getattr(item, "fixturenames", ())
            if used and item.get_closest_marker(marker) is None:
                item.add_marker(marker)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test, or fail it, where the machine lacks what its markers require."""
    for marker in item.iter_markers():
        reason = _missing(marker)
        if reason and REQUIRE_ALL:
            pytest.fail(f"KILONET_REQUIRE_ALL=1, but there is {reason}", pytrace=False)
        if reason:
            pytest.skip(reason)


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """The folder with the real MNIST files, named by KILONET_DATA."""
    return _data_dir()


@pytest.fixture(autouse=True)
def _isolated_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test writes into the working directory's runs."""
    monkeypatch.setenv("KILONET_RUNS", str(tmp_path / "runs"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium, the one that the system has."""
    from playwright.sync_api import sync_playwright

    quiet = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        program = _first_on_path(BROWSERS)
        opened = playwright.chromium.launch(executable_path=program, args=quiet)
        yield opened
        opened.close()
