"""The findings: every question resolves, is answered once, and the page says what is stored."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from kilonet.errors import UsageError
from kilonet.models.build import check_budget
from kilonet.models.measure import count_parameters
from kilonet.recipe.load import resolve
from kilonet.studies.analysis import analyse
from kilonet.studies.words import sentences
from kilonet.workflows.load import network_for

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

questions = importlib.import_module("findings.questions")
store = importlib.import_module("findings.store")
ladder = importlib.import_module("findings.ladder")
rates = importlib.import_module("findings.rates")
run = importlib.import_module("findings.run")
page = importlib.import_module("findings.page")
estimate = importlib.import_module("findings.estimate")

TINY = """
recipe = "quick"
seeds = 2
search = { epochs = 1, trials = 3 }

[[question]]
id = "rate"
title = "Slow or fast"
claims = [{ page = "000", says = "Fast is better." }]
words = ["data.name=digits", "training.epochs=1", "model.layers=c4 M c4 M"]
cell = [{ label = "fast", words = ["optimizer.lr=0.02"] }, { label = "searched", rate = 0.01 }]

[[question]]
id = "width"
title = "Narrow or wide"
claims = [{ page = "003", says = "Nothing." }]
notes = ["One is a cell of the other question, too."]
words = ["data.name=digits", "training.epochs=1", "optimizer.lr=0.02"]
vary = ["model.layers=c4 M c4 M,c6 M c4 M"]
labels = ["narrow", "wide"]
"""
ENTRY = {
    "dataset": "digits",
    "images": 10,
    "parameters": 20,
    "macs": 30,
    "seconds": 1.0,
    "environment": {"processor": "Abacus", "torch": "2.0"},
}


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "questions.toml"
    path.write_text(TINY, encoding="utf-8")
    return path


def lines(folder: Path, name: str) -> Any:
    return json.loads((folder / "findings" / f"{name}.json").read_text(encoding="utf-8"))


ASKED = questions.read_questions()


@pytest.mark.parametrize("question", ASKED, ids=[each.id for each in ASKED])
def test_every_cell_is_a_recipe_whose_network_can_be_made(question: Any) -> None:
    rates_of = {cell.label: cell.rate for cell in question.listed if cell.rate is not None}
    plan = question.plan(rates_of, [0, 1])
    recipes = questions.recipes_of(plan)
    assert len(recipes) == len(question.listed) > 1
    for recipe in recipes:
        check_budget(network_for(recipe), recipe, question.id)
        assert recipe.data.name == "mnist" and recipe.data.validation > 0
        assert recipe.training.epochs <= 10 and not recipe.training.record_test_by_epoch
    sizes = [count_parameters(network_for(recipe)) for recipe in recipes]
    if question.entry.same_parameters:
        assert max(sizes) < 1.03 * min(sizes)
    assert all(claim.page in ("000", "001", "002", "003", "004") for claim in question.entry.claims)


def test_a_cell_below_another_has_the_rate_a_rung_lower() -> None:
    (question,) = [each for each in ASKED if each.id == "optimizers"]
    found = {cell.label: 0.03 for cell in question.listed if cell.rate is not None}
    recipes = questions.recipes_of(question.plan(found | {"SGD": 1.0}, [0]))
    rates_of = {
        cell.label: recipe.optimizer.lr
        for cell, recipe in zip(question.listed, recipes, strict=True)
    }
    assert (rates_of["SGD"], rates_of["SGD, the next lower rate"]) == (1.0, 0.3)


def test_a_grid_s_line_is_the_same_study() -> None:
    (pooling,) = questions.read_questions(wanted=["pooling"])
    own, line = pooling.commands()
    assert own == "python scripts/findings/run.py pooling"
    assert line.startswith("kilonet study short-20k --vary 'model.layers=c16 M c32 M,")
    assert line.endswith("--seeds 5")


def test_the_budget_of_the_averaging_head_is_the_linear_one_s() -> None:
    (head,) = questions.read_questions(wanted=["head"])
    sizes = [count_parameters(network_for(r)) for r in questions.recipes_of(head.plan({}, [0]))]
    assert sizes[2] == pytest.approx(sizes[0], rel=0.03)


def test_unknown_questions_are_refused() -> None:
    with pytest.raises(UsageError, match='Did you mean "dropout"'):
        questions.read_questions(wanted=["dropuot"])


def test_rungs() -> None:
    assert ladder.neighbour(0.003, 1) == 0.01
    assert ladder.neighbour(0.003, -1) == 0.001
    assert ladder.neighbour(1.0, -1) == 0.3
    assert ladder.neighbour(0.3, 2) == 3.0


def test_the_ladder_is_climbed_until_a_rate_is_best_between_two() -> None:
    reached = {0.001: 0.5, 0.003: 0.6, 0.01: 0.7, 0.03: 0.65}
    tried: dict[float, float] = {}
    while (rate := rates.next_rate(0.003, tried, 8)) is not None:
        tried[rate] = reached[rate]
    assert tried == reached
    assert store.best(tried) == 0.01
    assert rates.next_rate(0.003, {0.001: 0.5, 0.003: 0.6, 0.01: 0.7}, 3) is None


def test_it_goes_on_where_it_stopped_and_does_nothing_twice(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    results, scratch = tmp_path / "findings", tmp_path / "scratch"
    line = ["--file", str(tiny), "--results", str(results), "--scratch", str(scratch)]
    assert run.main(["--seeds", "0", *line]) == 0
    first = capsys.readouterr().out.splitlines()
    assert len(first) == 3 + 3  # rates; cells, of which one is shared
    assert len(lines(tmp_path, "rate")["trials"]) == 3
    assert len(lines(tmp_path, "rate")["runs"]) == len(lines(tmp_path, "width")["runs"]) == 2
    assert {path.name for path in scratch.iterdir()} == {"locks"}

    assert run.main(line) == 0
    assert all("seed 1" in said for said in capsys.readouterr().out.splitlines())
    runs = lines(tmp_path, "width")["runs"]
    assert sorted(entry["seed"] for entry in runs) == [0, 0, 1, 1]

    def never(*_: Any) -> None:
        raise AssertionError("a run is made twice")

    monkeypatch.setattr(run, "make_run", never)
    assert run.main(["--reverse", *line]) == 0
    assert capsys.readouterr().out == ""
    assert run.main(["--plan", *line]) == 0
    assert "In all 0.0 hours" in capsys.readouterr().out

    text = page.findings(tmp_path, tiny)
    assert text.count("**What 2 seeds show.**") == 2
    assert "not run yet" not in text.lower()
    alone, study = page.Store(results).read("width"), text.split("## Narrow or wide")[1]
    assert f"{100 * sum(r.test_accuracy for r in alone.runs[:2]) / 2:.2f}" in study
    assert "\nkilonet study quick data.name=digits" in study


def test_what_another_process_is_at_is_left_to_it(tiny: Path, tmp_path: Path) -> None:
    (question,) = questions.read_questions(tiny, ["width"])
    runner = run.Runner(store.Store(tmp_path / "findings"), tmp_path / "scratch", [0])
    plan = question.plan({}, [0])
    name = f"{store.fingerprint(questions.recipes_of(plan)[0])}-s0"
    with runner._claimed(name):
        other = run.Runner(runner.store, runner.scratch, [0])
        assert not other.make(question, plan, 0, 0)
    assert runner.store.read("width").runs == []


def filled(folder: Path, tiny: Path, *accuracies: list[float]) -> None:
    """Store runs of the question of widths, a list of accuracies a cell."""
    (question,) = questions.read_questions(tiny, ["width"])
    recipes = questions.recipes_of(question.plan({}, [0]))
    for recipe, reached in zip(recipes, accuracies, strict=True):
        for seed, accuracy in enumerate(reached):
            wrong = list(range(round(10 * (1 - accuracy))))
            entry = {"test_accuracy": accuracy, "validation_accuracy": [accuracy], "wrong": wrong}
            key = {"fingerprint": store.fingerprint(recipe), "seed": seed}
            store.Store(folder / "findings").add("width", store.StoredRun(**key, **ENTRY, **entry))


def test_the_page_says_what_is_stored_and_what_is_not_run(tiny: Path, tmp_path: Path) -> None:
    filled(tmp_path, tiny, [0.5, 0.6], [0.8, 0.9])
    text = page.findings(tmp_path, tiny)
    assert "| [Slow or fast](#slow-or-fast) | 000 | 2 | not run yet |" in text
    assert "| [Narrow or wide](#narrow-or-wide) | 003 | 2 | 2 seeds |" in text
    assert "| **narrow** | 2 | 55.00 | 7.07 |" in text and "| wide | 2 | 85.00 |" in text
    (question,) = questions.read_questions(tiny, ["width"])
    plan = question.plan({}, [0, 1])
    found, failures = store.found_of(plan, store.Store(tmp_path / "findings").read("width"))
    (said,) = sentences(analyse(plan, found, failures))
    assert f"**What 2 seeds show.**\n{said[0].upper()}{said[1:]}\n" in text
    assert "+30.00 points" in said
    assert "Abacus, PyTorch 2.0" in text


def test_the_page_of_some_seeds(tiny: Path, tmp_path: Path) -> None:
    filled(tmp_path, tiny, [0.5, 0.6], [0.8])
    text = page.findings(tmp_path, tiny)
    assert "some of the seeds" in text
    assert "What one seed shows may be the seed's doing." in text


def test_runs_that_failed_are_named(tiny: Path, tmp_path: Path) -> None:
    filled(tmp_path, tiny, [0.5, 0.6], [0.8])
    (question,) = questions.read_questions(tiny, ["width"])
    wide = questions.recipes_of(question.plan({}, [0]))[1]
    failure = store.Failure(fingerprint=store.fingerprint(wide), seed=1, message="It diverged.")
    store.Store(tmp_path / "findings").add("width", failure)
    assert "Left out, wide, seed 1: It diverged." in page.findings(tmp_path, tiny)


def test_results_of_another_form_are_refused(tiny: Path, tmp_path: Path) -> None:
    filled(tmp_path, tiny, [0.5], [0.8])
    path = tmp_path / "findings" / "width.json"
    path.write_text(path.read_text().replace('"images"', '"pictures"'), encoding="utf-8")
    with pytest.raises(UsageError, match=r"width\.json: runs\.0\.images: Field required"):
        page.findings(tmp_path, tiny)


def test_the_page_in_docs_is_that_of_the_results(tmp_path: Path) -> None:
    assert page.main(["--check"]) == 0
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "findings.md", tmp_path / "docs")
    (tmp_path / "docs" / "findings.md").write_text("Another.", encoding="utf-8")
    assert page.main(["--check", "--root", str(tmp_path)]) == 1


def test_the_base_recipe_s_rate_is_the_one_that_was_found() -> None:
    """Else what is called Adam in one question is not what the others call the baseline."""
    (asked,) = questions.read_questions(wanted=["optimizers"])
    tried = store.tried_rates(asked, "Adam", store.Store(ROOT / "results/findings").read(asked.id))
    assert store.is_found(tried, asked.search.trials)
    assert resolve(asked.recipe).recipe.optimizer.lr == store.best(tried)
