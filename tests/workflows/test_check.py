"""Holding runs against constraints."""

from __future__ import annotations

import pytest

import kilonet
from kilonet.errors import RunError
from kilonet.recipe.schema import Constraints
from kilonet.workflows.run import Run
from trained import finish_run, start_run


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
