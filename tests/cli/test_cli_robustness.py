"""``kilonet evaluate --robustness``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Command
from golden import assert_golden

from kilonet.cli.common import print_table
from kilonet.cli.tables import robustness_table
from kilonet.evaluation.distortions import DISTORTIONS
from kilonet.evaluation.robustness import Estimate, Robustness, RobustnessCell
from kilonet.runs.directory import RunDirectory
from kilonet.workflows.robustness import RobustnessReport
from kilonet.workflows.runs import Run
from trained import Trained, start_run


def test_prints_and_stores_what_it_measured(
    kilonet: Command, finished_here: str, tmp_path: Path
) -> None:
    result = kilonet("evaluate", finished_here, "--robustness", "--images", "20", "--out", tmp_path)
    assert (result.status, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0] == "quick-1: 20 of 359 Optical digits (scikit-learn) test images"
    assert lines[-2:] == [f"Wrote {tmp_path / f'robustness.{end}'}" for end in ("json", "png")]
    assert len(lines) == 3 + sum(len(kind.strengths) for kind in DISTORTIONS) + 3 + 2


def test_as_json(kilonet: Command, finished_here: str, tmp_path: Path) -> None:
    words = ("--robustness", "--images", "20", "--validation", "--json", "--out", tmp_path)
    found = json.loads(kilonet("evaluate", finished_here, *words).out)
    stored = (tmp_path / "robustness-validation.json").read_text(encoding="utf-8")
    assert found == json.loads(stored)
    assert found["part"] == "validation"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--images", "5"], "--images belongs to --robustness"),
        (["--validation"], "--validation belongs to --robustness"),
        (["--data", "mnist", "--out", "x"], "--out belongs to --robustness"),
        (["--robustness", "--data", "mnits"], 'Did you mean "mnist"'),
        (["--robustness", "--images", "1"], "Name 2 to 359"),
        (["--robustness", "--images", "many"], "should be a valid integer"),
    ],
)
def test_refused(
    refused: Callable[..., str], finished_here: str, words: list[str], message: str
) -> None:
    assert message in refused("evaluate", finished_here, *words)


def test_a_model_that_ships_is_not_written_to(
    kilonet: Command, finished: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kilonet.runs.find.SHIPPED_FOLDER", tmp_path)
    path = finished.copy(tmp_path / "tiny")
    result = kilonet("evaluate", path, "--robustness", "--images", "2")
    assert result.status == 0
    assert result.out.splitlines()[-1].startswith("Not stored")


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    run: RunDirectory = start_run("data.name=mnist")
    cells = tuple(
        RobustnessCell(kind.name, strength, 9_000 - 100 * place, 9_900 - place, place)
        for kind in DISTORTIONS
        for place, strength in enumerate(kind.strengths)
    )
    found = Robustness(
        10_000,
        RobustnessCell(None, 0, 9_943, 9_941, 1),
        cells,
        Estimate(0.71234, 0.0051),
        Estimate(0.952, 0.0034),
    )
    info = run.data_info()
    report = RobustnessReport(run.name, Run(run), info, "test", 10_000, found, 21_482, "cpu")
    print_table(robustness_table(report))
    assert_golden("robustness", capsys.readouterr().out)
