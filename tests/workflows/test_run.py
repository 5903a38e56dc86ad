"""A run as Python sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

import kilonet
from kilonet.errors import RunError, UsageError
from kilonet.runs import layout
from kilonet.workflows.run import Run, find_run
from trained import Trained, finish_run, start_run


def test_a_finished_run(finished_run: Run) -> None:
    assert finished_run.finished
    assert finished_run.name == "quick-1"
    assert [row["epoch"] for row in finished_run.history] == [1, 2]
    assert finished_run.recipe.optimizer.lr == 0.02
    assert finished_run.test.total == 359
    assert finished_run.report == finished_run.path / "report.html"


def test_an_unfinished_run_says_how_to_go_on() -> None:
    run = Run(start_run())
    assert not run.finished
    assert run.history == []
    with pytest.raises(RunError, match=f"kilonet train --resume {run.path}"):
        _ = run.test


def test_damaged_metrics(finished: Trained, tmp_path: Path) -> None:
    path = finished.copy(tmp_path / "copy")
    (path / layout.METRICS).write_text('{"test": {}}', encoding="utf-8")
    with pytest.raises(RunError, match=r"metrics\.json is damaged"):
        _ = find_run(path).test


def test_runs_are_found_by_name_path_and_themselves() -> None:
    run = Run(finish_run(start_run()))
    assert find_run("quick-1") == find_run(run.path) == find_run(run) == run
    assert find_run(run) is run
    with pytest.raises(UsageError, match="There is no run"):
        find_run("other")


def test_all_runs_of_a_folder(tmp_path: Path) -> None:
    start_run()
    finish_run(start_run())
    start_run(path=tmp_path / "elsewhere" / "mine")
    assert [run.name for run in kilonet.list_runs()] == ["quick-1", "quick-2"]
    assert [run.name for run in kilonet.list_runs(str(tmp_path / "elsewhere"))] == ["mine"]
    assert kilonet.list_runs(tmp_path / "nope") == []
