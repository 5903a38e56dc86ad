"""A study takes only the runs that it planned, whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic import plan_of

from kilonet.errors import RunError
from kilonet.progress import Reporter
from kilonet.runs import layout
from kilonet.runs.directory import RunDirectory
from kilonet.studies import worker
from kilonet.studies.directory import StudyDirectory, open_study, read_results
from kilonet.studies.plan import RunJob
from trained import finish_run, start_run


@pytest.fixture
def study(tmp_path: Path) -> StudyDirectory:
    """A study with the finished runs a-s0, a-s1 and a-s2."""
    directory = StudyDirectory(tmp_path / "study", plan_of("a"))
    for seed in range(3):
        made(directory.runs / f"a-s{seed}", f"training.seed={seed}")
    return directory


def made(path: Path, *words: str) -> RunDirectory:
    shutil.rmtree(path, ignore_errors=True)
    return finish_run(start_run(*words, path=path))


def cut(path: Path) -> None:
    lines = (path / layout.HISTORY).read_text(encoding="utf-8").splitlines()
    (path / layout.HISTORY).write_text("\n".join(lines[:-1]), encoding="utf-8")


def other_seed(path: Path) -> None:
    shutil.rmtree(path)
    shutil.copytree(path.with_name("a-s2"), path)


EXCHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "another seed": (other_seed, "seed 2, not 1"),
    "other epochs": (lambda path: made(path, "training.seed=1", "training.epochs=1"), "recipe"),
    "another rate": (lambda path: made(path, "training.seed=1", "optimizer.lr=0.5"), "recipe"),
    "a cut history": (cut, "not complete"),
}


def test_its_own_runs_are_taken(study: StudyDirectory) -> None:
    assert [run.seed for run in read_results(study)[0]] == [0, 1, 2]


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_run_that_was_exchanged_or_cut_is_refused(study: StudyDirectory, exchange: str) -> None:
    change, message = EXCHANGES[exchange]
    path = study.runs / "a-s1"
    change(path)
    job = RunJob("a-s1", "quick", study.plan.jobs()[1].toml)
    for read in (
        lambda: read_results(study),
        lambda: study.finished("a-s1"),
        lambda: worker.make_run(job, study.runs, None, Reporter()),
    ):
        with pytest.raises(RunError, match=message) as caught:
            read()
        assert str(caught.value).count(f"Remove {path}") == 1


def test_a_users_notes_are_not_removed_with_an_unusable_run(study: StudyDirectory) -> None:
    path = study.runs / "a-s1"
    (path / layout.RUN).unlink()
    (path / "notes.txt").write_text("mine", encoding="utf-8")
    job = RunJob("a-s1", "quick", study.plan.jobs()[1].toml)
    with pytest.raises(RunError, match=r"notes\.txt"):
        worker.make_run(job, study.runs, None, Reporter())
    assert (path / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_a_link_to_an_unusable_run_is_left_alone(study: StudyDirectory, tmp_path: Path) -> None:
    path = study.runs / "a-s1"
    elsewhere = shutil.move(path, tmp_path / "elsewhere")
    (elsewhere / layout.RUN).unlink()
    path.symlink_to(elsewhere)
    with pytest.raises(RunError, match="symbolic link"):
        worker.make_run(study.plan.jobs()[1], study.runs, None, Reporter())
    assert (elsewhere / layout.RECIPE).exists()


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo] if hasattr(os, "mkfifo") else [Path.touch])
def test_a_file_in_place_of_a_run_is_named(
    study: StudyDirectory, make: Callable[[Path], None]
) -> None:
    path = study.runs / "a-s1"
    shutil.rmtree(path)
    make(path)
    with pytest.raises(RunError, match="is a file, not the folder of a run"):
        worker.make_run(study.plan.jobs()[1], study.runs, None, Reporter())


def test_archives_that_were_not_unpacked_to_the_end_are_removed(study: StudyDirectory) -> None:
    incomplete = study.runs / ".a-s1.x1y2.part"
    incomplete.mkdir()
    (incomplete / layout.RUN).write_text("{}", encoding="utf-8")
    (study.path / "study.json").unlink(missing_ok=True)
    with open_study(study.path, study.plan):
        assert not incomplete.exists()
