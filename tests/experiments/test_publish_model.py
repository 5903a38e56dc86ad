"""From a finished run to a model that ships, and back through every command that takes a run."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch

import kilonet
from kilonet.cli.app import run as command
from kilonet.errors import RunError
from kilonet.recipe.fingerprint import fingerprint
from kilonet.runs import find, layout
from kilonet.runs.find import open_run
from kilonet.workflows.inspect import list_models
from trained import WORDS

ROOT = Path(__file__).resolve().parents[2]

publish = importlib.import_module("publish_model")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> kilonet.Run:
    path = tmp_path_factory.mktemp("publish") / "run"
    assert command(["train", "quick", *WORDS, "training.keep=last", "--out", str(path)]) == 0
    return kilonet.workflows.runs.find_run(path)


@pytest.fixture
def stored(run: kilonet.Run, tmp_path: Path) -> dict[str, Any]:
    """What a results file would hold of the run and of another seed."""
    test = run.test
    entries = [
        {"seed": seed, "test_correct": correct, "test_total": test.total}
        for seed, correct in ((0, test.correct), (1, test.correct - 2))
    ]
    return {"fingerprint": run.directory.facts["fingerprint"], "runs": entries}


@pytest.fixture
def published(
    run: kilonet.Run, stored: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    monkeypatch.setattr(find, "SHIPPED_FOLDER", tmp_path / "pretrained")
    (tmp_path / "digits-22k.json").write_text(json.dumps(stored), encoding="utf-8")
    folder: Path = publish.publish(run.directory, "digits-22k", tmp_path, find.SHIPPED_FOLDER)
    return folder


def test_what_ships_is_the_run(published: Path, run: kilonet.Run) -> None:
    ours, theirs = kilonet.load("digits-22k").state_dict(), kilonet.load(run).state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert kilonet.evaluate("digits-22k").correct == run.test.correct
    assert {file.name for file in published.iterdir()} == {
        *publish.KEPT,
        find.CARD,
        "README.md",
    }


def test_the_recipe_may_have_left_a_choice(run: kilonet.Run, stored: dict[str, Any]) -> None:
    recipe = run.directory.recipe()
    auto = recipe.training.model_copy(update={"kernels": "auto", "precision": "auto"})
    asked = fingerprint(recipe.model_copy(update={"training": auto}))
    publish.require_same(run.directory, {**stored, "fingerprint": asked})
    other = fingerprint(
        recipe.model_copy(update={"training": recipe.training.model_copy(update={"epochs": 9})})
    )
    with pytest.raises(RunError, match="was trained with another recipe"):
        publish.require_same(run.directory, {**stored, "fingerprint": other})


def test_the_list_has_its_figures(published: Path, run: kilonet.Run) -> None:
    (model,) = list_models()
    assert model.name == published.name
    assert model.parameters == kilonet.load(run).count_parameters()
    assert model.weights_bytes == (run.path / layout.LAST).stat().st_size
    assert model.accuracies == [run.test.accuracy, (run.test.correct - 2) / run.test.total]


@pytest.mark.usefixtures("published")
def test_the_commands_take_it(capsys: pytest.CaptureFixture[str], run: kilonet.Run) -> None:
    assert command(["models"]) == 0
    out = capsys.readouterr().out
    assert "digits-22k" in out and f"{run.test.accuracy:.2%}" in out
    assert command(["models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "digits-22k"
    assert command(["evaluate", "digits-22k"]) == 0
    assert command(["summary", "digits-22k"]) == 0


def test_the_card_says_what_is_in_the_files(published: Path, run: kilonet.Run) -> None:
    text = (published / "README.md").read_text(encoding="utf-8")
    for figure in (
        f"{kilonet.load(run).count_parameters():,} parameters",
        f"{run.test.accuracy:.2%}",
        "scikit-learn",
        "MIT",
    ):
        assert figure in text
    card = json.loads((published / find.CARD).read_text(encoding="utf-8"))
    assert card["shipped_seed"] == 0 and len(card["seeds"]) == 2


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"fingerprint": "0"}, "was trained with another recipe"),
        (
            {"runs": [{"seed": 0, "test_correct": 1, "test_total": 360}]},
            "has another accuracy than its seed",
        ),
        ({"runs": []}, "has another accuracy than its seed"),
    ],
)
def test_only_what_the_results_tell_of_ships(
    run: kilonet.Run, stored: dict[str, Any], tmp_path: Path, change: dict[str, Any], text: str
) -> None:
    (tmp_path / "other.json").write_text(json.dumps({**stored, **change}), encoding="utf-8")
    with pytest.raises(RunError, match=text):
        publish.publish(run.directory, "other", tmp_path, tmp_path / "pretrained")
    assert not (tmp_path / "pretrained").exists()


def test_a_package_without_models_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(find, "SHIPPED_FOLDER", tmp_path)
    assert command(["models"]) == 0
    assert "No trained models ship" in capsys.readouterr().out
    with pytest.raises(kilonet.KilonetError, match="no model of that name ships"):
        open_run("digits-22k")
