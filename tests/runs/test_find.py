"""Finding runs by path, by name, and all in a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kilonet.errors import RunError, UsageError
from kilonet.files import runs_dir
from kilonet.runs import layout
from kilonet.runs.find import is_run, list_runs, open_run
from trained import start_run

LONG = "x" * 5000


def test_by_path_and_by_name() -> None:
    run = start_run()
    for source in (run.path, str(run.path), "quick-1", Path("quick-1")):
        assert is_run(source)
        assert open_run(source) == run


@pytest.mark.parametrize("source", ["nope", LONG, "a\0b", "/etc/passwd/x", "..", ""])
def test_unknown_runs(source: str) -> None:
    assert not is_run(source)
    with pytest.raises(UsageError, match="There is no run"):
        open_run(source)


def test_the_nearest_name_is_suggested() -> None:
    start_run()
    with pytest.raises(UsageError, match='Did you mean "quick-1"'):
        open_run("quick-2")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"format": 2}, "a run of format 2; .* reads format 1. Use Kilonet 0.1.0"),
        ({"format": 2, "environment": None}, "Use the version that made it"),
        ({"format": "1"}, "is damaged: format"),
        ({"format": None}, "is damaged: format"),
        ({"finished": "yes"}, "is damaged: finished"),
        ({"recipe": 5}, "is damaged: recipe"),
        ({"environment": {}}, "is damaged: environment.kilonet"),
        (
            {"environment": {"kilonet": "", "commit": "", "device": "cpu", "threads": "many"}},
            "is damaged: environment.threads",
        ),
    ],
)
def test_facts_of_another_version(changes: dict[str, object], text: str) -> None:
    run = start_run()
    run.write_json(layout.RUN, {**run.facts, **changes})
    with pytest.raises(RunError, match=text):
        open_run(run.path)


@pytest.mark.parametrize("key", ["format", "recipe", "finished", "created", "environment"])
def test_incomplete_facts(key: str) -> None:
    run = start_run()
    run.write_json(layout.RUN, {name: run.facts[name] for name in run.facts if name != key})
    with pytest.raises(RunError, match=f"is damaged: {key}"):
        open_run(run.path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"5", b"\xff", b"[" * 10_000, b"9" * 5000])
def test_facts_that_are_not_an_object(content: bytes) -> None:
    run = start_run()
    run.file(layout.RUN).write_bytes(content)
    with pytest.raises(RunError, match=r"run\.json is damaged"):
        open_run(run.path)


def test_additional_facts_are_kept() -> None:
    run = start_run().update_facts(later={"added": [1]})
    assert open_run(run.path).facts["later"] == {"added": [1]}


def test_lists_are_sorted_by_creation() -> None:
    created = [start_run(recipe=name).name for name in ("quick", "gap-14k", "quick", "quick")]
    for _ in range(8):
        created.append(start_run().name)
    assert created[-1] == "quick-11"
    assert [run.name for run in list_runs(runs_dir()).runs] == created


def test_unreadable_runs_are_listed_separately() -> None:
    start_run()
    damaged = start_run()
    damaged.file(layout.RUN).write_text("{", encoding="utf-8")
    other = start_run()
    other.write_json(layout.RUN, {**other.facts, "format": 9})
    (runs_dir() / "no-run").mkdir()
    (runs_dir() / "notes.txt").write_text("", encoding="utf-8")
    listing = list_runs(runs_dir())
    assert [run.name for run in listing.runs] == ["quick-1"]
    assert ["damaged" in text or "format 9" in text for text in listing.unreadable] == [True, True]


def test_a_missing_folder_has_no_runs(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "nope").runs == []


def test_facts_are_plain_json() -> None:
    run = start_run()
    assert json.loads(run.file(layout.RUN).read_text(encoding="utf-8")) == run.facts


def test_a_file_is_not_a_folder_of_runs(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="file is not a folder"):
        list_runs(tmp_path / "file")
