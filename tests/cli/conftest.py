"""Running the command line in this process, and what it said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Command, Said

from kilonet.cli.main import run
from trained import Trained, trained


@pytest.fixture
def kilonet(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run ``kilonet`` with some arguments."""

    def call(*arguments: str | Path) -> Said:
        capsys.readouterr()
        status = run([str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return Said(status, said.out, said.err)

    return call


@pytest.fixture
def refused(kilonet: Command) -> Callable[..., str]:
    """Run ``kilonet`` with arguments that it refuses; return the one message on standard error."""

    def call(*arguments: str | Path, status: int = 2) -> str:
        said = kilonet(*arguments)
        assert said.status == status, said
        assert said.out == ""
        assert said.err.startswith("Error: ")
        assert said.err.count("\n") == 1
        return said.err.removeprefix("Error: ").rstrip("\n")

    return call


@pytest.fixture(scope="session")
def finished() -> Trained:
    """The shared run, in its directory; not to be changed."""
    return trained()


@pytest.fixture
def finished_here(finished: Trained, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the shared run, in the runs directory; not to be changed."""
    monkeypatch.setenv("KILONET_RUNS", str(finished.path.parent))
    return finished.path.name
