"""The experiment files are valid, and every training of them is made once and stored."""

from __future__ import annotations

import importlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from kilonet.data.dataset import Dataset
from kilonet.models.build import check_budget
from kilonet.models.measure import count_parameters
from kilonet.recipe.load import resolve
from kilonet.workflows.runs import network_for

ROOT = Path(__file__).resolve().parents[2]
run = importlib.import_module("run")
stored = importlib.import_module("stored")

FINDINGS = run.read("findings")
TINY = """
recipe = "quick"
seeds = 2
search_epochs = 1

[[question]]
id = "rate"
title = "Slow or fast"
pages = ["000"]
overrides = ["data.name=digits", "training.epochs=1", "model.layers=c4 M c4 M"]

[[question.cell]]
label = "fast"
overrides = ["optimizer.lr=0.02"]

[[question.cell]]
label = "searched"
lr = 0.01
tried = [0.01, 0.03]

[[question]]
id = "width"
title = "Narrow or wide"
pages = ["003"]
overrides = ["data.name=digits", "training.epochs=1", "optimizer.lr=0.02"]

[[question.cell]]
label = "narrow"
overrides = ["model.layers=c4 M c4 M"]

[[question.cell]]
label = "wide"
overrides = ["model.layers=c6 M c4 M"]
"""


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(run, "RESULTS", tmp_path)
    monkeypatch.setattr(run, "LOCKS", tmp_path / "locks")
    return tmp_path


def content(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("question", FINDINGS["question"], ids=lambda question: question["id"])
def test_every_cell_is_a_recipe_whose_network_can_be_built(question: Any) -> None:
    trainings = run.cells(FINDINGS, question, 0)
    recipes = [training.recipe for training in trainings]
    assert len({training.key for training in trainings}) == len(question["cell"]) > 1
    for recipe in recipes:
        check_budget(network_for(recipe), recipe, question["id"])
        assert recipe.data.name == "mnist" and recipe.data.validation > 0
        assert recipe.training.epochs <= 10 and not recipe.training.record_test_by_epoch
    sizes = [count_parameters(network_for(recipe)) for recipe in recipes]
    if question.get("same_parameters"):
        assert max(sizes) < 1.03 * min(sizes)
    if question["id"] == "head":
        assert sizes[2] == pytest.approx(sizes[0], rel=0.03)
    assert {*question["pages"]} <= {"000", "001", "002", "003", "004"}


@pytest.mark.parametrize("question", FINDINGS["question"], ids=lambda question: question["id"])
def test_the_learning_rate_of_a_cell_is_the_best_that_was_tried(question: Any) -> None:
    trials = content(ROOT / "results" / "findings" / f"{question['id']}.json")["trials"]
    reached = {(each["fingerprint"], each["seed"]): each["validation_accuracy"] for each in trials}
    tried = iter(run.rate_trials(FINDINGS, question))
    for cell in question["cell"]:
        trials = [next(tried) for _ in cell.get("tried", [])]
        found = {trial.rate: reached[trial.key] for trial in trials}
        if found:
            assert cell["lr"] == max(sorted(found), key=lambda rate: found[rate])
            assert min(found) < cell["lr"] < max(found)
    if question["id"] == "optimizers":
        recipe = question.get("recipe", FINDINGS["recipe"])
        assert resolve(recipe).recipe.optimizer.lr == question["cell"][0]["lr"]


@pytest.mark.parametrize("name", ["reproduction", "frontier"])
def test_every_run_is_a_recipe_whose_network_can_be_built(name: str) -> None:
    for training in run.whole_runs(name, [], [0]):
        recipe = training.recipe
        check_budget(network_for(recipe), recipe, training.label)


def test_every_trial_is_a_recipe_of_its_group() -> None:
    trainings = run.search_trials([], [3])
    assert max(Counter(training.label for training in trainings).values()) == 1
    bases = {each.label.split("/")[0] for each in trainings if each.label.endswith("/base")}
    for training in trainings:
        recipe = training.recipe
        assert training.label.split("/")[0] in bases
        assert recipe.training.seed == 3
        assert recipe.data.validation > 0 and not recipe.training.record_test_by_epoch
        assert count_parameters(network_for(recipe)) > 0


def test_every_stored_trial_is_in_the_file() -> None:
    names = {
        entry["name"] for entry in content(ROOT / "results" / "frontier-search.json")["trials"]
    }
    assert names <= {training.label for training in run.search_trials([], [0])}


def test_patterns_choose() -> None:
    (base,) = run.search_trials(["2k/base"], [0])
    assert base.overrides == []
    assert len(list(run.search_trials(["2k/*"], [0]))) > 5
    assert list(run.search_trials(["nothing"], None)) == []
    assert {training.label for training in run.whole_runs("frontier", ["kilonet-*k"], [0, 1])} == {
        f"kilonet-{size}k" for size in ("0.5", "1", "2", "4", "8", "14", "25")
    }


def test_findings_are_stored_once(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (results / "findings.toml").write_text(TINY, encoding="utf-8")
    monkeypatch.setattr(run, "HERE", results)
    assert run.main(["findings", "--seeds", "0"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2 + 3  # rates; cells, one of them shared
    rate, width = results / "findings" / "rate.json", results / "findings" / "width.json"
    assert [trial["rate"] for trial in content(rate)["trials"]] != []
    assert len(content(rate)["runs"]) == len(content(width)["runs"]) == 2
    assert {entry["dataset"] for entry in content(width)["runs"]} == {"digits"}

    def never(*_: Any) -> None:
        raise AssertionError("a training is made twice")

    assert run.main(["findings"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 3 and all("seed 1" in line for line in said)
    monkeypatch.setattr(run, "train_or_resume", never)
    monkeypatch.setattr(run, "train_without_test_images", never)
    assert run.main(["findings", "--reverse"]) == 0
    assert capsys.readouterr().out == ""


def test_a_run_is_kept_resumed_and_stored(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["data.name=digits", "training.epochs=1", "model.layers=c4 M c4 M"]
    monkeypatch.setattr(
        run,
        "read",
        lambda _: {"seeds": 1, "run": [{"label": "x", "recipe": "quick", "overrides": words}]},
    )
    keep = results / "keep"
    assert run.main(["reproduction", "--keep", str(keep)]) == 0
    (folder,) = keep.iterdir()
    found = content(results / "x.json")
    assert found["recipe"] == "quick" and found["overrides"] == words
    assert folder.name == f"x-{found['fingerprint']}-s0"
    (figures,) = found["runs"]
    accuracy = figures["test_correct"] / figures["test_total"]
    assert accuracy == pytest.approx(figures["test_accuracy"])
    (results / "x.json").unlink()
    assert run.main(["reproduction", "--keep", str(keep)]) == 0
    assert content(results / "x.json") == found


@pytest.mark.compiler
def test_a_trial_has_no_test_images(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (240, 1, 28, 28), dtype=torch.uint8, generator=draw)
    labels = torch.arange(240) % 10
    noise = Dataset(
        "mnist", "noise", images, labels, images, labels, tuple("0123456789"), (0.13,), (0.3,), ""
    )
    monkeypatch.setattr(run, "load_recipe_data", lambda *_: noise)
    run.dataset.cache_clear()
    short = ["training.epochs=1", "data.name=mnist"]
    path = results / "frontier-search.json"
    training = run.SearchTrial("x/y", run.SEARCH_BASE, short, 1, path)
    found = run.dataset(training.recipe.data)
    assert len(found.test_images) == len(found.test_labels) == 0
    assert len(found.train_images) == 240
    assert not training.is_done()
    accuracy = training.train_and_store(results)
    assert training.is_done()
    (entry,) = content(path)["trials"]
    assert entry["validation_accuracy"] == pytest.approx(accuracy, abs=1e-6)
    assert entry["parameters"] == count_parameters(network_for(training.recipe))
    assert 0 <= entry["validation_accuracy"] <= 1
    run.dataset.cache_clear()


def test_entries_replace_those_of_the_same_name_and_seed(tmp_path: Path) -> None:
    path = tmp_path / "trials.json"
    for name, seed, fingerprint in (("b", 1, "f"), ("b", 0, "f"), ("a", 0, "f"), ("b", 0, "g")):
        stored.add_trial(path, {"name": name, "seed": seed, "fingerprint": fingerprint})
    trials = content(path)["trials"]
    assert [(each["name"], each["seed"]) for each in trials] == [("a", 0), ("b", 0), ("b", 1)]
    assert stored.has_trial(path, "b", ("g", 0)) and not stored.has_trial(path, "b", ("f", 0))
    head = {"recipe": "r", "fingerprint": "f"}
    path = tmp_path / "runs.json"
    for seed in (1, 0, 1):
        stored.add_run(path, head, {"seed": seed})
    assert [each["seed"] for each in content(path)["runs"]] == [0, 1]
    stored.add_run(path, {**head, "fingerprint": "g"}, {"seed": 2})
    assert content(path)["runs"] == [{"seed": 2}]


def test_what_another_process_trains_is_skipped(results: Path) -> None:
    (training,) = run.search_trials(["2k/base"], [0])
    identity, seed = training.key
    run.LOCKS.mkdir()
    with run.FileLock(run.LOCKS / f"{identity}-s{seed}.lock"):
        run.run_all([training], results)
    assert not (results / "frontier-search.json").exists()
