"""Fixtures that run the command line in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Command, CommandResult

from kilonet.cli.app import run
from trained import Trained, trained


@pytest.fixture
def kilonet(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run ``kilonet`` with some arguments."""

    def call(*arguments: str | Path) -> CommandResult:
        capsys.readouterr()
        status = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return CommandResult(status, captured.out, captured.err)

    return call


@pytest.fixture
def refused(kilonet: Command) -> Callable[..., str]:
    """Run ``kilonet`` with arguments that it refuses; return the one message on standard error."""

    def call(*arguments: str | Path, status: int = 2) -> str:
        result = kilonet(*arguments)
        assert result.status == status, result
        assert result.out == ""
        assert result.err.startswith("Error: ")
        assert result.err.count("\n") == 1
        return result.err.removeprefix("Error: ").rstrip("\n")

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
