"""Runs of version 0.1.0, whose recipes had the keys ``training.workers`` and ``training.loss``."""

from __future__ import annotations

import shutil
from pathlib import Path

from kilonet.recipe.fingerprint import fingerprint
from kilonet.runs.changelog import change_log
from kilonet.runs.find import open_run
from trained import start_run

STORED = Path(__file__).parent / "run-0.1.0"


def test_its_facts_and_recipe_are_read() -> None:
    run = open_run(STORED)
    recipe = run.recipe()
    assert (recipe.training.epochs, recipe.model.name) == (1, "conv-stack")
    assert run.data_info().mean == (0.1307,)


def test_its_fingerprint_is_computed_again_from_recipe_and_processes() -> None:
    run = open_run(STORED)
    processes = int(run.facts["environment"]["workers"])
    assert fingerprint(run.recipe(), processes) == run.facts["fingerprint"] == "e0700319a5eb"


def test_the_change_log_compares_it_with_a_run_of_today(tmp_path: Path) -> None:
    earlier = shutil.copytree(STORED, tmp_path / "earlier")
    today = start_run("training.epochs=2", "data.validation=0.9")
    entries, damaged = change_log([open_run(earlier), today])
    assert damaged == []
    changed = {change.key for change in entries[1].changed or []}
    assert "training.epochs" in changed
    assert not changed & {"training.workers", "training.loss"}
