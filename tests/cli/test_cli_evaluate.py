"""``kilonet evaluate``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Command

from kilonet.runs import layout
from trained import Trained, start_run


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
