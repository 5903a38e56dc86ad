"""The search: its trials are recipes, decide by validation images alone, and are run once."""

from __future__ import annotations

import importlib
import json
from collections import Counter
from pathlib import Path

import pytest
import torch

from kilonet.data.dataset import Dataset
from kilonet.models.build import build
from kilonet.models.measure import count_parameters

ROOT = Path(__file__).resolve().parents[2]

search = importlib.import_module("frontier.search")


@pytest.fixture
def dataset() -> Dataset:
    """Images of MNIST's size that hold nothing, and no test images."""
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (240, 1, 28, 28), dtype=torch.uint8, generator=draw)
    labels = torch.arange(240) % 10
    classes = tuple("0123456789")
    return Dataset(
        "mnist", "noise", images, labels, images[:0], labels[:0], classes, (0.13,), (0.3,), "test"
    )


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(search, "RESULTS", tmp_path / "frontier-search.json")
    return tmp_path / "frontier-search.json"


def test_every_trial_is_a_recipe_of_its_group() -> None:
    trials = search.read_trials([])
    assert max(Counter(trial.name for trial in trials).values()) == 1
    bases = {trial.name.split("/")[0] for trial in trials if trial.name.endswith("/base")}
    for trial in trials:
        recipe = trial.recipe(3)
        assert trial.name.split("/")[0] in bases
        assert recipe.training.seed == 3 and recipe.training.keep == "last"
        assert recipe.data.validation > 0 and not recipe.training.record_test_by_epoch
        assert count_parameters(build(recipe.model)) > 0


def test_patterns_choose() -> None:
    (base,) = search.read_trials(["2k/base"])
    assert base.overrides == []
    group = search.read_trials(["2k/*"])
    assert len(group) > 5 and all(trial.name.startswith("2k/") for trial in group)
    assert search.read_trials(["nothing"]) == []


@pytest.mark.compiler
def test_a_trial_is_run_once_and_stored(results: Path, dataset: Dataset) -> None:
    trial = search.Trial("x/short", ["training.epochs=1", "model.layers=c2 M d3 r M"])
    assert not search.is_done(trial, 0)
    for seed in (1, 0):
        search.store(search.run(trial, seed, dataset))
    assert search.is_done(trial, 0) and search.is_done(trial, 1)
    entries = json.loads(results.read_text(encoding="utf-8"))["trials"]
    assert [entry["seed"] for entry in entries] == [0, 1]
    assert entries[0]["parameters"] == count_parameters(build(trial.recipe(0).model))
    assert 0 <= entries[0]["validation_accuracy"] <= 1
    changed = search.Trial("x/short", [*trial.overrides, "optimizer.lr=0.01"])
    assert not search.is_done(changed, 0)
    search.store(search.run(changed, 0, dataset))
    assert not search.is_done(trial, 0) and search.is_done(trial, 1)


def test_no_test_image_is_in_a_trial(dataset: Dataset) -> None:
    recipe = search.read_trials(["2k/base"])[0].recipe(0)
    material = search.without_test(dataset, recipe)
    assert len(material.test) == 0
    assert len(material.validation) == 40 and len(material.train) == 200
