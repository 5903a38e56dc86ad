"""The findings: every question's recipes are valid, and each run is made once."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from kilonet.errors import UsageError
from kilonet.models.build import check_budget
from kilonet.models.measure import count_parameters
from kilonet.recipe.load import resolve
from kilonet.workflows.load import network_for

ROOT = Path(__file__).resolve().parents[2]

questions = importlib.import_module("findings.questions")
store = importlib.import_module("findings.store")
ladder = importlib.import_module("findings.ladder")
rates = importlib.import_module("findings.rates")
run = importlib.import_module("findings.run")
estimate = importlib.import_module("findings.estimate")

TINY = """
recipe = "quick"
seeds = 2
search = { epochs = 1, trials = 3 }

[[question]]
id = "rate"
title = "Slow or fast"
pages = ["000"]
words = ["data.name=digits", "training.epochs=1", "model.layers=c4 M c4 M"]
cell = [{ label = "fast", words = ["optimizer.lr=0.02"] }, { label = "searched", rate = 0.01 }]

[[question]]
id = "width"
title = "Narrow or wide"
pages = ["003"]
words = ["data.name=digits", "training.epochs=1", "optimizer.lr=0.02"]
vary = ["model.layers=c4 M c4 M,c6 M c4 M"]
labels = ["narrow", "wide"]
"""


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
    assert {*question.entry.pages} <= {"000", "001", "002", "003", "004"}


def test_a_cell_below_another_has_the_rate_a_rung_lower() -> None:
    (question,) = [each for each in ASKED if each.id == "optimizers"]
    found = {cell.label: 0.03 for cell in question.listed if cell.rate is not None}
    recipes = questions.recipes_of(question.plan(found | {"SGD": 1.0}, [0]))
    rates_of = {
        cell.label: recipe.optimizer.lr
        for cell, recipe in zip(question.listed, recipes, strict=True)
    }
    assert (rates_of["SGD"], rates_of["SGD, the next lower rate"]) == (1.0, 0.3)


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


def test_what_another_process_is_at_is_left_to_it(tiny: Path, tmp_path: Path) -> None:
    (question,) = questions.read_questions(tiny, ["width"])
    runner = run.Runner(store.Store(tmp_path / "findings"), tmp_path / "scratch", [0])
    plan = question.plan({}, [0])
    name = f"{store.fingerprint(questions.recipes_of(plan)[0])}-s0"
    with runner._claimed(name):
        other = run.Runner(runner.store, runner.scratch, [0])
        assert not other.make(question, plan, 0, 0)
    assert runner.store.read("width").runs == []


def test_the_base_recipe_s_rate_is_the_one_that_was_found() -> None:
    """Else what is called Adam in one question is not what the others call the baseline."""
    (asked,) = questions.read_questions(wanted=["optimizers"])
    tried = store.tried_rates(asked, "Adam", store.Store(ROOT / "results/findings").read(asked.id))
    assert store.is_found(tried, asked.search.trials)
    assert resolve(asked.recipe).recipe.optimizer.lr == store.best(tried)
