"""Evaluation of finished runs: metrics on a test split, and constraints."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import kilonet
from kilonet.data.folder import dataset_spec
from kilonet.errors import RunError, UsageError
from kilonet.recipe.schema import Constraints, Data
from kilonet.workflows import data
from kilonet.workflows.runs import Run
from trained import finish_run, start_run


def test_it_finds_what_the_run_recorded(finished_run: Run) -> None:
    again = kilonet.evaluate(finished_run, device="cpu")
    assert again == finished_run.test


def test_a_run_of_pixels_as_they_are_is_measured_and_exported_so(tmp_path: Path) -> None:
    words = ["data.name=digits", "data.normalise=false", "training.epochs=1", "training.threads=1"]
    run = kilonet.train("quick", overrides=words, out=tmp_path / "run")
    assert run.data_info.mean == (0.0,)
    assert kilonet.evaluate(run, device="cpu") == run.test
    assert kilonet.evaluate(run, data="digits", device="cpu") == run.test
    verified = kilonet.export(run, "onnx", out=tmp_path / "out").verification
    assert verified is not None and verified.same_labels == verified.images


def test_another_data_set_has_to_be_of_the_same_kind(
    finished_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wide(section: Data) -> object:
        return dataclasses.replace(dataset_spec(section), shape=(3, 32, 32))

    monkeypatch.setattr(data, "dataset_spec", wide)
    with pytest.raises(UsageError, match=r"MNIST has images \(3, 32, 32\), 10 classes"):
        kilonet.evaluate(finished_run, data="mnist")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [({"data": "mnits"}, 'Did you mean "mnist"'), ({"device": "cdua"}, 'Did you mean "cuda"')],
)
def test_unknown_names(finished_run: Run, arguments: dict[str, str], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        kilonet.evaluate(finished_run, **arguments)


def passed(source: str, constraints: Constraints | None = None) -> dict[str, bool]:
    return {line.label: line.passed for line in kilonet.check(source, constraints)}


def test_the_recipes_own_constraints() -> None:
    finish_run(start_run("constraints.min_accuracy=0.9", "constraints.max_parameters=19999"))
    assert passed("quick-1") == {
        "at most 19,999 parameters": False,
        "at most 19 epochs": True,
        "test accuracy at least 90.00%": True,
        "batch norm used": True,
    }


def test_constraints_that_are_given_replace_them_key_by_key() -> None:
    finish_run(start_run())
    given = Constraints(max_parameters=30_000, required_layers=["dropout"])
    assert passed("quick-1", given) == {
        "at most 30,000 parameters": True,
        "at most 19 epochs": True,
        "test accuracy at least 99.00%": False,
        "dropout used": True,
    }


def test_a_run_without_constraints() -> None:
    finish_run(start_run("constraints=off"))
    assert kilonet.check("quick-1") == []


def test_an_unfinished_run() -> None:
    start_run()
    with pytest.raises(RunError, match="has not finished"):
        kilonet.check("quick-1")


def test_the_shared_run_keeps_its_budget(finished_run: Run) -> None:
    lines = {line.label: line.detail for line in kilonet.check(finished_run)}
    assert lines["at most 25,000 parameters"] == "22,214"
    assert lines["at most 19 epochs"] == "2"
    assert lines["batch norm used"] == "present"
