"""Fixtures of the tests of what ``import kilonet`` offers."""

from __future__ import annotations

from pathlib import Path

import pytest

import kilonet
from kilonet.workflows import finish
from kilonet.workflows.runs import Run
from trained import Trained, trained

TINY = '''
import torch
from torch import nn

class Net(nn.Sequential):
    """A handful of parameters; ``width`` is the number of channels."""

    def __init__(self, width: int = 4) -> None:
        super().__init__(
            nn.Conv2d(1, width, 5, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(36 * width, 10)
        )
'''


@pytest.fixture(scope="session")
def finished() -> Trained:
    """The shared run, in its directory; not to be changed."""
    return trained()


@pytest.fixture
def finished_run(finished: Trained) -> Run:
    """The shared run, as Python sees it; not to be changed."""
    return kilonet.list_runs(finished.path.parent)[0]


@pytest.fixture
def own_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe of a network of one's own, ``tinynet:Net``, in the current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "tinynet", raising=False)
    (tmp_path / "tinynet.py").write_text(TINY, encoding="utf-8")
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(
        """
        [data]
        name = "digits"
        [model]
        name = "tinynet:Net"
        width = 3
        [optimizer]
        name = "adam"
        lr = 0.01
        [training]
        epochs = 1
        threads = 1
        """,
        encoding="utf-8",
    )
    return recipe


@pytest.fixture
def without_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what takes most of a short run's time: the exports and the pictures."""
    monkeypatch.setattr(finish, "export_onnx", lambda *_: None)
    monkeypatch.setattr(finish, "write_report", lambda *_: None)
