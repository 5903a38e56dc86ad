"""``kilonet evaluate``, ``kilonet check`` and ``kilonet compare``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Command
from golden import assert_golden

from kilonet.runs import layout
from kilonet.runs.find import open_run
from trained import Trained, finish_run, start_run


def test_a_table_by_class(kilonet: Command, finished_here: str, finished: Trained) -> None:
    result = kilonet("evaluate", finished_here)
    assert (result.status, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0] == "quick-1"
    assert lines[1].split() == ["class", "precision", "recall", "F1", "images"]
    assert [line.split()[0] for line in lines[2:12]] == list("0123456789")
    figures = json.loads((finished.path / layout.METRICS).read_text(encoding="utf-8"))["test"]
    assert lines[12] == f"accuracy {figures['accuracy']:.2%} ({figures['correct']} of 359)"
    assert re.fullmatch(r"95 % interval \d\d\.\d\d% to \d\d\.\d\d%", lines[13])


def test_as_json(kilonet: Command, finished_here: str, finished: Trained) -> None:
    figures = json.loads((finished.path / layout.METRICS).read_text(encoding="utf-8"))["test"]
    assert json.loads(kilonet("evaluate", finished_here, "--json").out) == figures


def test_refused(refused: Callable[..., str], finished_here: str) -> None:
    assert 'Did you mean "mnist"' in refused("evaluate", finished_here, "--data", "mnits")
    assert "There is no device" in refused("evaluate", finished_here, "--device", "gpu")
    assert "Leave out --model" in refused("evaluate", finished_here, "--model", "a:B")


def test_runs_that_cannot_be_evaluated(
    refused: Callable[..., str], finished: Trained, tmp_path: Path
) -> None:
    assert "has not finished" in refused("evaluate", start_run().path, status=1)
    path = finished.copy(tmp_path / "copy")
    (path / layout.BEST).write_bytes(b"nonsense")
    assert "are damaged" in refused("evaluate", path, status=1)


@pytest.mark.mnist
def test_another_data_set(kilonet: Command, finished_here: str, mnist_dir: Path) -> None:
    result = kilonet("evaluate", finished_here, "--data", "mnist", "--data-dir", mnist_dir)
    assert result.status == 0
    assert "of 10,000)" in result.out


@pytest.fixture
def three_runs() -> None:
    finish_run(start_run(recipe="gap-14k"), accuracy=0.995, parameters=14_210)
    finish_run(start_run("constraints=off"))
    start_run()


@pytest.mark.usefixtures("three_runs")
def test_check_prints_a_checklist(kilonet: Command) -> None:
    result = kilonet("check", "gap-14k-1")
    assert (result.status, result.err) == (1, "")  # its fake network has no global average pooling
    assert_golden("check", result.out)


@pytest.mark.usefixtures("three_runs")
@pytest.mark.parametrize(
    ("flags", "status", "line"),
    [
        (["--max-parameters", "20000"], 0, "✓ at most 20,000 parameters: 20,000\n"),
        (["--max-parameters", "19999"], 1, "✗ at most 19,999 parameters: 20,000\n"),
        (["--max-epochs", "4"], 0, "✓ at most 4 epochs: 4\n"),
        (["--max-epochs", "3"], 1, "✗ at most 3 epochs: 4\n"),
        (["--min-accuracy", "0.95"], 0, "✓ test accuracy at least 95.00%: 95.00%\n"),
        (["--min-accuracy", "0.96"], 1, "✗ test accuracy at least 96.00%: 95.00%\n"),
        (["--require-layer", "dropout"], 0, "✓ dropout used: present\n"),
        (
            ["--require-layer", "global-average-pooling"],
            1,
            "✗ global average pooling used: absent\n",
        ),
        (
            ["--require-layer", "dropout", "--require-layer", "batch-norm"],
            0,
            "✓ dropout used: present\n✓ batch norm used: present\n",
        ),
    ],
)
def test_check_flags(kilonet: Command, flags: list[str], status: int, line: str) -> None:
    result = kilonet("check", "quick-1", *flags)
    assert (result.status, result.out, result.err) == (status, line, "")


@pytest.mark.usefixtures("three_runs")
@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["gap-14k-2"], 2, 'There is no run "gap-14k-2"'),
        (["gap-14k-2"], 2, 'Did you mean "gap-14k-1"?'),
        (["quick-1"], 2, "quick-1 has no constraints to check."),
        (["quick-2"], 1, "has not finished. Resume it: kilonet train --resume"),
        (["quick-1", "--max-parameters", "0"], 2, "--max-parameters must be at least 1, not 0."),
        (["quick-1", "--min-accuracy", "99.4"], 2, "--min-accuracy must be at most 1, not 99.4."),
        (["quick-1", "--require-layer", "relu"], 2, "--require-layer must be 'batch-norm', "),
    ],
)
def test_check_refused(
    refused: Callable[..., str], arguments: list[str], status: int, text: str
) -> None:
    assert text in refused("check", *arguments, status=status)


@pytest.fixture
def two_runs() -> None:
    for accuracy, wrong in ((0.99, range(10)), (0.98, range(5, 25))):
        run = finish_run(start_run(), accuracy)
        run.write_json(layout.METRICS, {**run.metrics(), "wrong": [*wrong]})


@pytest.mark.usefixtures("two_runs")
def test_compare_prints_a_table_and_a_verdict(kilonet: Command) -> None:
    result = kilonet("compare", "quick-1", "quick-2")
    assert (result.status, result.err) == (0, "")
    assert_golden("compare", result.out)
    found = json.loads(kilonet("compare", "quick-1", "quick-2", "--json").out)
    assert (found["test"]["only_a"], found["test"]["only_b"]) == (15, 5)


def test_compare_evaluates_a_run_that_did_not_record_its_mistakes(
    kilonet: Command, finished: Trained, tmp_path: Path
) -> None:
    run = open_run(finished.copy(tmp_path / "copy"))
    metrics = run.metrics()
    assert len(metrics.pop("wrong")) == metrics["test"]["total"] - metrics["test"]["correct"]
    run.write_json(layout.METRICS, metrics)
    found = json.loads(kilonet("compare", finished.path, run.path, "--json").out)
    assert (found["test"]["only_a"], found["test"]["only_b"]) == (0, 0)


def test_compare_refused(refused: Callable[..., str]) -> None:
    finish_run(start_run())
    finish_run(start_run("data.name=fashion-mnist"))
    run = open_run("quick-2")
    run.write_json(layout.METRICS, {**run.metrics(), "dataset": "fashion-mnist"})
    assert "only runs of one data set" in refused("compare", "quick-1", "quick-2")
    assert "There is no run" in refused("compare", "quick-1", "quick-9")
    assert "has not finished" in refused("compare", "quick-1", start_run().path, status=1)
