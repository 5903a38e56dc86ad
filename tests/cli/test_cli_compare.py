"""``kilonet compare``, ``kilonet lr-find`` and ``kilonet runs --csv``."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Command
from golden import assert_golden

from kilonet.runs import layout
from kilonet.runs.find import open_run
from trained import Trained, finish_run, start_run


@pytest.fixture
def two() -> None:
    for accuracy, wrong in ((0.99, range(10)), (0.98, range(5, 25))):
        run = finish_run(start_run(), accuracy)
        run.write_json(layout.METRICS, {**run.metrics(), "wrong": [*wrong]})


@pytest.mark.usefixtures("two")
def test_what_is_printed(kilonet: Command) -> None:
    result = kilonet("compare", "quick-1", "quick-2")
    assert (result.status, result.err) == (0, "")
    assert_golden("compare", result.out)
    found = json.loads(kilonet("compare", "quick-1", "quick-2", "--json").out)
    assert (found["test"]["only_a"], found["test"]["only_b"]) == (15, 5)


def test_a_run_that_did_not_record_it_is_evaluated(
    kilonet: Command, finished: Trained, tmp_path: Path
) -> None:
    run = open_run(finished.copy(tmp_path / "copy"))
    metrics = run.metrics()
    assert len(metrics.pop("wrong")) == metrics["test"]["total"] - metrics["test"]["correct"]
    run.write_json(layout.METRICS, metrics)
    found = json.loads(kilonet("compare", finished.path, run.path, "--json").out)
    assert (found["test"]["only_a"], found["test"]["only_b"]) == (0, 0)


def test_refused(refused: Callable[..., str]) -> None:
    finish_run(start_run())
    finish_run(start_run("data.name=fashion-mnist"))
    run = open_run("quick-2")
    run.write_json(layout.METRICS, {**run.metrics(), "dataset": "fashion-mnist"})
    assert "only runs of one data set" in refused("compare", "quick-1", "quick-2")
    assert "There is no run" in refused("compare", "quick-1", "quick-9")
    assert "has not finished" in refused("compare", "quick-1", start_run().path, status=1)
    assert "Leave one out" in refused("runs", "--json", "--csv")
    assert "The rates must rise" in refused("lr-find", "quick", "--low", "1", "--high", "0.1")
    assert "--steps must be from 20" in refused("lr-find", "quick", "--steps", "3")


@pytest.mark.usefixtures("two")
def test_runs_as_csv(kilonet: Command) -> None:
    rows = list(csv.DictReader(io.StringIO(kilonet("runs", "--csv").out)))
    assert [row["name"] for row in rows] == ["quick-1", "quick-2"]
    assert [row["changed"] for row in rows] == ["first run", "the same recipe again"]


def test_a_learning_rate_is_found(kilonet: Command, tmp_path: Path) -> None:
    picture = tmp_path / "lr.png"
    words = ("data.name=digits", "training.threads=1", "optimizer.name=sgd", "--steps", "60")
    result = kilonet("lr-find", "quick", *words, "--out", picture)
    assert result.status == 0
    rate = float(result.out.partition("rate of ")[2].split()[0])
    assert 1e-4 < rate < 5  # plain SGD with batch norm learns somewhere between
    assert picture.read_bytes().startswith(b"\x89PNG")
