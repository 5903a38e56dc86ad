"""A run's directory: created once, used by one process at a time."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kilonet import files
from kilonet.errors import RunError
from kilonet.recipe.fingerprint import fingerprint
from kilonet.runs import layout
from kilonet.runs.directory import RunDirectory, require_unused
from kilonet.runs.find import open_run
from trained import finish_run, history_row, start_run

HOLD = """
import sys
from filelock import FileLock
lock = FileLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_new_run_has_its_facts() -> None:
    run = start_run("training.seed=7")
    assert names(run.path) - {layout.LOCK} == {layout.RUN, layout.RECIPE}
    facts = json.loads((run.path / layout.RUN).read_text(encoding="utf-8"))
    assert facts["format"] == layout.FORMAT
    assert facts["recipe"] == "quick"
    assert facts["finished"] is run.finished is False
    assert run.recipe().training.seed == 7
    assert facts["fingerprint"] == fingerprint(run.recipe())
    assert open_run(run.path) == run


def test_runs_are_numbered_by_recipe() -> None:
    assert [start_run().name, start_run().name] == ["quick-1", "quick-2"]
    assert start_run(recipe="gap-14k").name == "gap-14k-1"


def test_an_existing_folder_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "runs" / "quick-1").mkdir(parents=True)
    assert start_run().name == "quick-2"


def test_a_named_directory_is_made_with_its_parents(tmp_path: Path) -> None:
    assert start_run(path=tmp_path / "a" / "b").path == tmp_path / "a" / "b"


def test_an_empty_directory_is_used(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert start_run(path=tmp_path / "empty").path == tmp_path / "empty"


def test_a_run_is_named_by_its_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    run = start_run()
    monkeypatch.chdir(run.path)
    assert open_run(".").name == "quick-1"


def test_a_used_directory_is_refused_and_unchanged(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(RunError, match="in use already") as caught:
        start_run(path=tmp_path / "mine")
    assert "--out" in str(caught.value)
    assert "--resume" not in str(caught.value)
    assert names(tmp_path / "mine") == {"thesis.txt"}


def test_another_run_is_refused_with_the_command_to_resume(tmp_path: Path) -> None:
    run = start_run(path=tmp_path / "one")
    with pytest.raises(RunError, match="kilonet train --resume"):
        start_run(path=run.path)
    assert open_run(run.path) == run


@pytest.mark.parametrize("place", ["file", "file/below", "x" * 300])
def test_invalid_paths(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(RunError, match="--out"):
        start_run(path=tmp_path / place)
    assert names(tmp_path) == {"file"}


def test_invalid_paths_are_found_before_anything_is_created(tmp_path: Path) -> None:
    require_unused(tmp_path)
    require_unused(tmp_path / "new")
    assert names(tmp_path) == set()
    (tmp_path / "file").write_text("", encoding="utf-8")
    for place in (tmp_path, tmp_path / "file", tmp_path / ("x" * 300)):
        with pytest.raises(RunError, match="--out"):
            require_unused(place)


def test_the_runs_directory_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("", encoding="utf-8")
    with pytest.raises(RunError, match=r"Cannot write to .*runs: .*--out"):
        start_run()


@pytest.mark.parametrize("writes", [0, 1])
def test_a_full_disk_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    real, done = files.write_bytes, []

    def failing(path: Path, content: bytes) -> None:
        if len(done) == writes:
            raise OSError(28, "No space left on device")
        done.append(path)
        real(path, content)

    monkeypatch.setattr(files, "write_bytes", failing)
    with pytest.raises(RunError, match="No space left on device"):
        start_run()
    assert names(tmp_path / "runs") == set()


@pytest.mark.parametrize("moment", range(4))
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_start_that_is_stopped_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, moment: int
) -> None:
    """Ctrl-C or SIGTERM while the recipe, the sources or the facts are written."""
    place = os if call == "fsync" else Path
    real, calls, sources = getattr(place, call), [], {"net.py": b"a = 1"}

    def stopped(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) > moment:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(place, call, stopped)
    if moment == 3:
        assert start_run(path=tmp_path / "run", sources=sources).path == tmp_path / "run"
        return
    with pytest.raises(KeyboardInterrupt):
        start_run(path=tmp_path / "run", sources=sources)
    assert not (tmp_path / "run").exists()


FIRST = [".lock", ".recipe.toml.a.part", "recipe.toml", "source/net.py", ".run.json.b.part"]


@pytest.mark.parametrize("count", range(len(FIRST) + 1))
@pytest.mark.parametrize("mine", [None, "notes.txt", ".hidden", "recipes.toml"])
def test_a_start_that_was_killed_leaves_a_folder_that_can_be_used(
    tmp_path: Path, count: int, mine: str | None
) -> None:
    """SIGKILL leaves the first files of a run. A file of the user is never removed."""
    for name in FIRST[:count]:
        path = tmp_path / "run" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    if mine is None:
        run = start_run(path=tmp_path / "run")
        assert open_run(run.path).recipe() == run.recipe()
        assert not list(run.path.glob(".*.part"))
        return
    (tmp_path / "run").mkdir(exist_ok=True)
    (tmp_path / "run" / mine).touch()
    before = set((tmp_path / "run").rglob("*"))
    with pytest.raises(RunError, match="in use already"):
        start_run(path=tmp_path / "run")
    assert set((tmp_path / "run").rglob("*")) == before


def test_facts_are_updated_on_disk() -> None:
    run = start_run().update_facts(finished=True, onnx_note="none")
    assert run.finished
    assert open_run(run.path).facts == run.facts


def test_history_is_read_as_it_was_written() -> None:
    run = start_run()
    assert run.history() == []
    rows = [history_row(1), {**history_row(2), "test_accuracy": 1 / 3}]
    rows[0]["test_accuracy"] = 0.1
    run.write_history(rows)
    assert run.history() == rows
    assert run.file(layout.HISTORY).read_text(encoding="utf-8").startswith("epoch,")


def test_metrics_before_and_after_the_end() -> None:
    run = start_run()
    assert run.metrics() == {}
    assert finish_run(run, accuracy=0.9).metrics()["test"]["accuracy"] == 0.9


def test_a_finished_run_without_metrics_is_damaged() -> None:
    run = finish_run(start_run())
    run.file(layout.METRICS).unlink()
    with pytest.raises(RunError, match=r"metrics\.json is missing"):
        run.metrics()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "is missing"),
        (b"\xff\xff", "not UTF-8"),
        (b"[model]\nname = ", r"line 2"),
        (b'[model]\nname = "simple"\n', r"\[optimizer\] is missing"),
    ],
)
def test_a_damaged_recipe_is_a_damaged_run(content: bytes | None, text: str) -> None:
    run = start_run()
    path = run.file(layout.RECIPE)
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(RunError, match=text) as caught:
        run.recipe()
    assert caught.value.exit_code == 1
    assert str(path) in str(caught.value)


def test_two_processes_do_not_train_in_one_run() -> None:
    run = start_run()
    command = [sys.executable, "-c", HOLD, str(run.file(layout.LOCK))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(RunError, match="another process is training there"), run.locked():
            pass
        other.kill()
    with run.locked():  # the lock went with its process
        pass


def test_incomplete_files_of_a_killed_process_are_removed() -> None:
    run = start_run()
    (run.path / ".state.safetensors.x1y2.part").write_bytes(b"half")
    with run.locked():
        assert not list(run.path.glob(".*.part"))
    assert names(run.path) >= {layout.RUN, layout.RECIPE}


def test_a_deleted_run_cannot_be_locked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    gone = RunDirectory(tmp_path / "file" / "below", {})
    with pytest.raises(RunError, match="Cannot write"), gone.locked():
        pass


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(code, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    entered = False
    with pytest.warns(UserWarning, match="has no locks"), RunDirectory(tmp_path, {}).locked():
        entered = True
    assert entered
