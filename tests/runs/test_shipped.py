"""Shipped models are runs: found by name after the user's own runs, with a card of all seeds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from kilonet.errors import RunError, UsageError
from kilonet.runs import find
from kilonet.runs.find import is_run, open_run
from trained import start_run

CARD = {"shipped_seed": 0, "seeds": [{"seed": 0, "test_correct": 99, "test_total": 100}]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(find, "SHIPPED_FOLDER", tmp_path / "pretrained")
    return tmp_path / "pretrained"


def ship(folder: Path, name: str, card: dict[str, Any]) -> Path:
    path = start_run(path=folder / name).path
    (path / find.CARD).write_text(json.dumps(card), encoding="utf-8")
    return path


def test_found_by_name(folder: Path) -> None:
    path = ship(folder, "kilonet-2k", CARD)
    assert is_run("kilonet-2k")
    assert open_run("kilonet-2k").path == path
    (found,) = find.shipped_models()
    assert (found.name, found.accuracies) == ("kilonet-2k", [0.99])


def test_the_users_own_run_comes_first(folder: Path) -> None:
    ship(folder, "quick-1", CARD)
    own = start_run()
    assert open_run("quick-1").path == own.path
    shutil.rmtree(own.path)
    assert open_run("quick-1").path == folder / "quick-1"


def test_only_names_are_looked_up(folder: Path) -> None:
    ship(folder, "kilonet-2k", CARD)
    ship(folder.parent, "secret", CARD)
    assert not is_run("../secret")


def test_the_nearest_name_is_suggested(folder: Path) -> None:
    ship(folder, "kilonet-2k", CARD)
    with pytest.raises(UsageError, match='Did you mean "kilonet-2k"'):
        open_run("kilonet-3k")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"seeds": []}, "card.json is damaged: seeds"),
        ({"shipped_seed": "0"}, "card.json is damaged: shipped_seed"),
        ({"seeds": [{"seed": 0}]}, "card.json is damaged: seeds.0.test_correct"),
    ],
)
def test_a_damaged_card_is_named(folder: Path, change: dict[str, Any], text: str) -> None:
    ship(folder, "kilonet-2k", {**CARD, **change})
    with pytest.raises(RunError, match=text):
        find.shipped_models()
