"""Real studies that are stopped at any moment, and resumed by the same command."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest
from study_process import PATIENCE, StudyProcess, gone, results

import kilonet
from kilonet.runs import layout

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc"),
]

LINE = (
    "quick", 'model.layers="c6 M p4 c8 M"', "data.name=digits", "training.epochs=6",
    "constraints=off", "--vary", "optimizer.name=adam,sgd", "--seeds", "2", "--name", "s",
)  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    studies = tmp_path_factory.mktemp("whole") / "studies"
    assert StudyProcess(studies, *LINE).wait() == 0
    return studies / "s"


def wait_for(study: Path, files: int, what: str = layout.HISTORY) -> None:
    until = time.monotonic() + PATIENCE
    while len(list(study.glob(f"runs/*/{what}"))) < files:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_killed_study_is_resumed(undisturbed: Path, tmp_path: Path) -> None:
    studies, moment = tmp_path / "studies", random.Random(0)
    for kill in range(3):
        study = StudyProcess(studies, *LINE)
        workers = study.some_workers()
        wait_for(studies / "s", kill)
        time.sleep(moment.uniform(0, 3))
        workers = study.workers() or workers
        study.kill()
        assert gone(workers)
    finished = [run.path for run in kilonet.list_runs(studies / "s" / "runs") if run.finished]
    before = {path: (path / layout.RUN).stat().st_mtime_ns for path in finished}
    assert StudyProcess(studies, *LINE).wait() == 0
    assert results(studies / "s") == results(undisturbed)
    assert {path: (path / layout.RUN).stat().st_mtime_ns for path in finished} == before
    for run in (undisturbed / "runs").iterdir():
        resumed = studies / "s" / "runs" / run.name
        assert (resumed / layout.BEST).read_bytes() == (run / layout.BEST).read_bytes()


def test_finished_runs_are_not_repeated(undisturbed: Path) -> None:
    runs = sorted((undisturbed / "runs").glob("*/*"))
    before = [path.stat().st_mtime_ns for path in runs]
    assert StudyProcess(undisturbed.parent, *LINE).wait() == 0
    assert [path.stat().st_mtime_ns for path in runs] == before


def test_runs_are_runs(undisturbed: Path) -> None:
    runs = kilonet.list_runs(undisturbed / "runs")
    assert sorted(run.name for run in runs) == ["adam-s0", "adam-s1", "sgd-s0", "sgd-s1"]
    assert all(run.finished and run.directory.facts["recipe"] == "quick" for run in runs)
    assert kilonet.evaluate(runs[0]).accuracy == runs[0].test.accuracy


def test_a_second_coordinator_is_refused_and_a_signal_says_how_to_resume(tmp_path: Path) -> None:
    studies = tmp_path / "studies"
    line = ["99" if word == "2" else word for word in LINE]  # seeds: enough to be stopped
    first = StudyProcess(studies, *line)
    wait_for(studies / "s", 1)
    second = StudyProcess(studies, *line)
    assert second.wait() == 1
    workers = first.workers()
    first.process.send_signal(signal.SIGTERM)
    assert first.wait() == 128 + signal.SIGTERM
    assert gone(workers)
    said = (tmp_path / "log.txt").read_text(encoding="utf-8")
    assert "Traceback" not in said
    assert f"{studies / 's'} is in use: another process runs this study." in said
    assert "Repeat the command to resume." in said


def test_the_run_of_a_lost_worker_is_repeated(undisturbed: Path, tmp_path: Path) -> None:
    studies = tmp_path / "studies"
    study = StudyProcess(studies, *LINE, "--jobs", "1")
    wait_for(studies / "s", 1)
    (worker,) = study.workers()
    os.kill(worker, signal.SIGKILL)
    assert study.wait() == 0
    assert "lost its worker" in (tmp_path / "log.txt").read_text(encoding="utf-8")
    assert results(studies / "s") == results(undisturbed)
