"""``kilonet study``: its output, and what it refuses before training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Command
from golden import assert_golden

from kilonet.cli.common import print_table
from kilonet.cli.tables import text_table
from kilonet.runs import layout
from kilonet.studies.analysis import analyse
from kilonet.studies.directory import STUDY, StudyDirectory, open_study, read_results
from kilonet.studies.formatting import cells_table, comparisons_table
from kilonet.studies.plan import parse_request
from trained import finish_run, start_run

DIGITS = ("study", "quick", "data.name=digits")
OPTIMIZERS = ("--vary", "optimizer.name=adam,sgd")


@pytest.fixture(autouse=True)
def studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KILONET_STUDIES", str(tmp_path / "studies"))
    return tmp_path / "studies"


@pytest.fixture
def finished_study(studies: Path) -> StudyDirectory:
    """A study of two optimizers and two seeds with synthetic runs."""
    words = ["data.name=digits"]
    request = parse_request("quick", ["optimizer.name=adam,sgd"], 2, words, None, "two")
    accuracies = {"adam-s0": 0.95, "adam-s1": 0.96, "sgd-s0": 0.90, "sgd-s1": 0.92}
    with open_study(request.path, request.plan()) as study:
        for name, accuracy in accuracies.items():
            optimizer, seed = name.split("-s")
            changes = (f"optimizer.name={optimizer}", f"training.seed={seed}")
            run = finish_run(start_run(*changes, path=study.runs / name), accuracy)
            wrong = list(range(round(1000 * (1 - accuracy))))
            run.write_json(layout.METRICS, {**run.metrics(), "wrong": wrong, "macs": 2_000_000})
        return study


def test_the_tables(finished_study: StudyDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    analysis = analyse(finished_study.plan, read_results(finished_study), {})
    for table in (cells_table(analysis), comparisons_table(analysis)):
        print_table(text_table(table))
    assert_golden("study", capsys.readouterr().out)


def test_a_finished_study_is_only_reported(
    finished_study: StudyDirectory, kilonet: Command
) -> None:
    line = (*DIGITS, *OPTIMIZERS, "--seeds", "2", "--name", "two")
    result = kilonet(*line)
    assert (result.status, result.err) == (0, "")
    lines = result.out.splitlines()
    assert "sgd and adam reached 90 % on validation images equally soon" in lines[-2]
    assert lines[-1] == f"Report: {finished_study.path / 'report.html'}"
    page = (finished_study.path / "report.html").read_text(encoding="utf-8")
    assert "kilonet study quick data.name=digits --vary optimizer.name=adam,sgd" in page
    found = json.loads(kilonet(*line, "--json").out)
    assert [cell["cell"] for cell in found["cells"]] == ["adam", "sgd"]
    assert found == json.loads((finished_study.path / "results.json").read_text(encoding="utf-8"))


def test_another_command_with_the_same_name(
    finished_study: StudyDirectory, refused: Callable[..., str]
) -> None:
    line = (*DIGITS, *OPTIMIZERS, "--name", "two")
    assert "it has 2 seeds, this command 1" in refused(*line, "--seeds", "1")
    words = ("training.epochs=3", "--seeds", "2")
    assert 'the recipe of its cell "adam" is different' in refused(*line, *words)


def test_another_format(finished_study: StudyDirectory, refused: Callable[..., str]) -> None:
    path = finished_study.file(STUDY)
    content = json.loads(path.read_text(encoding="utf-8"))
    line = (*DIGITS, *OPTIMIZERS, "--seeds", "2", "--name", "two")
    path.write_text(json.dumps({**content, "format": 99}), encoding="utf-8")
    assert "is a study of format 99" in refused(*line, status=1)
    path.write_text(json.dumps({**content, "plan": {"cells": [{}]}}), encoding="utf-8")
    assert "is damaged" in refused(*line, status=1)
    path.write_text("[", encoding="utf-8")
    assert "is damaged" in refused(*line, status=1)
    assert len(list(finished_study.runs.iterdir())) == 4


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["--vary", "optimizer.rl=1,2"], 2, 'unknown key "rl". Did you mean "lr"?'),
        (["--vary", "optimizer.lr="], 2, "has an empty value"),
        (["--vary", "optimizer.lr=a,b"], 2, "[optimizer] lr: must be"),
        (["--seeds", "0"], 2, "--seeds must be at least 1, not 0."),
        (["--jobs", "0"], 2, "--jobs must be at least 1, not 0."),
        (["--threshold", "97"], 2, "is a fraction such as 0.97"),
        ([*OPTIMIZERS, "--baseline", "sdg"], 2, 'Did you mean "sgd"?'),
        (["--trials", "3"], 2, "--trials belongs to --search."),
        (["--search", "optimizer.lr=log(1,2)", "--seeds", "2"], 2, "--seeds belongs to the study"),
        (["--search", "optimizer.lr=log(2,1)"], 2, "must rise"),
        (["--search", "optimizer.rl=log(1,2)"], 2, 'Did you mean "lr"?'),
        (["--search", "training.epochs=int(1,99)"], 2, "over constraints.max_epochs"),
        (["--on", "moon"], 2, "'moon' is not one of 'local', 'ray'"),
        (["--on", "ray", "--address", "moon"], 2, "is not an address of a Ray cluster"),
        (["--vary", "model.layers=c999 M"], 2, "over"),
    ],
)
def test_refused(
    refused: Callable[..., str], studies: Path, arguments: list[str], status: int, text: str
) -> None:
    assert text in refused(*DIGITS, *arguments, status=status)
    assert not list(studies.glob("*/runs/*"))


def test_a_folder_of_something_else(refused: Callable[..., str], studies: Path) -> None:
    (studies / "mine").mkdir(parents=True)
    (studies / "mine" / "letter.txt").write_text("dear", encoding="utf-8")
    assert "exists and is not a study" in refused(*DIGITS, "--seeds", "1", "--name", "mine")
