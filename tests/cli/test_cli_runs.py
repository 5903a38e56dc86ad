"""``kilonet runs``: the change log."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Command
from golden import assert_golden
from rich.console import Console

from kilonet.cli.runs import read_change_log
from kilonet.runs import layout
from trained import finish_run, history_row, start_run


@pytest.fixture
def five_runs() -> None:
    """Four finished runs with various changes, and one in progress."""
    finish_run(start_run(), accuracy=0.992, parameters=22_214)
    finish_run(start_run("optimizer.lr=0.05", "data.name=fashion-mnist"), accuracy=0.914)
    finish_run(start_run(recipe="gap-14k"), accuracy=0.9952, parameters=14_210)
    finish_run(start_run(recipe="gap-14k"), accuracy=0.995, parameters=14_210)
    run = start_run(recipe="plain-valid-adam").update_facts(parameters=23_354)
    run.write_history([history_row(1, 0.9), history_row(2, 0.97)])


@pytest.mark.usefixtures("five_runs")
def test_the_change_log(kilonet: Command) -> None:
    result = kilonet("runs")
    assert (result.status, result.err) == (0, "")
    assert all(line == line.rstrip() for line in result.out.splitlines())
    assert_golden("runs", result.out)


@pytest.mark.usefixtures("five_runs")
@pytest.mark.parametrize("width", [100, 120])
def test_on_a_terminal(width: int, tmp_path: Path) -> None:
    """Lines of figures are not wrapped; only the texts below them are."""
    console = Console(width=width, file=(tmp_path / "out").open("w"), highlight=False)
    with console.capture() as captured:
        console.print(read_change_log().rendered())
    console.file.close()
    lines = [line.rstrip() for line in captured.get().splitlines()]
    assert max(map(len, lines)) <= width
    assert sum(not line.startswith(" ") for line in lines) == 1 + 5
    assert_golden(f"runs_{width}", "\n".join(lines) + "\n")


@pytest.mark.usefixtures("five_runs")
def test_as_json(kilonet: Command) -> None:
    rows = json.loads(kilonet("runs", "--json").out)
    assert [row["name"] for row in rows][:2] == ["quick-1", "quick-2"]
    assert rows[0]["changed"] is None
    assert {change["key"] for change in rows[1]["changed"]} == {"data.name", "optimizer.lr"}
    assert rows[3]["changed"] == []
    assert rows[4]["finished"] is False


def test_as_csv(kilonet: Command) -> None:
    for accuracy in (0.99, 0.98):
        finish_run(start_run(), accuracy)
    rows = list(csv.DictReader(io.StringIO(kilonet("runs", "--csv").out)))
    assert [row["name"] for row in rows] == ["quick-1", "quick-2"]
    assert [row["changed"] for row in rows] == ["first run", "the same recipe again"]


def test_no_runs(kilonet: Command, tmp_path: Path) -> None:
    expected = f'There are no runs in {tmp_path / "runs"}. "kilonet train" makes one.\n'
    assert kilonet("runs").out == expected
    assert json.loads(kilonet("runs", "--json").out) == []


def test_another_folder(kilonet: Command, tmp_path: Path) -> None:
    start_run(path=tmp_path / "elsewhere" / "mine")
    assert "\nmine " in kilonet("runs", "--in", tmp_path / "elsewhere").out


def test_what_cannot_be_read_is_said(kilonet: Command) -> None:
    finish_run(start_run())
    finish_run(start_run()).file(layout.METRICS).write_text("[", encoding="utf-8")
    start_run().file(layout.RUN).write_text("[", encoding="utf-8")
    result = kilonet("runs")
    assert result.status == 0
    assert "Left out: " in result.out
    assert "quick-2/metrics.json is damaged" in result.out
    assert "quick-3/run.json is damaged" in result.out


def test_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "does not exist" in refused("runs", "--in", tmp_path / "nope")
    assert "unexpected extra argument" in refused("runs", "quick-1")
    assert "Leave one out" in refused("runs", "--json", "--csv")
