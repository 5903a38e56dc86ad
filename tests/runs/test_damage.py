"""Damaged, exchanged and half-written runs: one message instead of wrong numbers."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

import kilonet
from kilonet.errors import KilonetError, RunError
from kilonet.inference.model import OnnxSession, find_model
from kilonet.runs import directory, layout
from kilonet.runs.find import open_run
from kilonet.training.checkpoints import load_state
from trained import start_run, trained


def read_facts(run: Path) -> dict[str, Any]:
    return {key: value for key, value in open_run(run).facts.items() if key != "checksums"}


READERS: dict[str, Callable[[Path], Any]] = {
    layout.RECIPE: lambda run: open_run(run).recipe(),
    layout.HISTORY: lambda run: open_run(run).history(),
    layout.METRICS: lambda run: open_run(run).metrics(),
    layout.BEST: kilonet.load,
    layout.ONNX: find_model,
    layout.STATE: lambda run: load_state(run / layout.STATE),
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return shutil.copytree(trained().path, tmp_path / "run")


def enter(context: AbstractContextManager[object]) -> None:
    with context:
        pass


def flip(path: Path, position: int, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << bit
    path.write_bytes(content)


@pytest.mark.parametrize("name", READERS)
def test_a_flipped_bit_anywhere_is_found(run: Path, name: str) -> None:
    path, draw = run / name, random.Random(name)
    READERS[name](run)
    whole = path.read_bytes()
    for _ in range(12):
        flip(path, draw.randrange(len(whole)), draw.randrange(8))
        with pytest.raises(KilonetError, match="damaged"):
            READERS[name](run)
        path.write_bytes(whole)


def test_a_flipped_bit_in_the_facts_is_found_or_harmless(run: Path) -> None:
    path, draw, expected = run / layout.RUN, random.Random(0), read_facts(run)
    whole = path.read_bytes()
    for _ in range(60):
        flip(path, draw.randrange(len(whole)), draw.randrange(8))
        try:
            found = read_facts(run)  # the bit may be in a space, or in the word "checksums"
            assert {key: found.get(key) for key in expected} == expected
        except RunError as error:
            assert "damaged" in str(error) or "format" in str(error)
        path.write_bytes(whole)


@pytest.mark.parametrize("name", [name for name in READERS if name != layout.STATE])
def test_a_file_of_another_run_is_found(run: Path, name: str, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "other")
    content = (run / name).read_bytes()
    # Valid by itself: one more line end, or a file of another model of the same kind.
    other = content + b"\n" if name.endswith(("toml", "csv", "json")) else content + b"\0\0"
    (run / name).write_bytes(other)
    with pytest.raises(RunError, match="belongs to another run"):
        READERS[name](run)
    READERS[name](tmp_path / "other")


def test_runs_of_earlier_versions_have_no_checksums(tmp_path: Path) -> None:
    run = trained().copy(tmp_path / "run")
    for read in READERS.values():
        read(run)


def test_an_exported_file_is_checked_alone(run: Path, tmp_path: Path) -> None:
    alone = shutil.copyfile(run / layout.ONNX, tmp_path / "alone.onnx")
    OnnxSession(alone)
    flip(alone, len(alone.read_bytes()) // 2, 0)
    with pytest.raises(KilonetError, match=r"alone\.onnx .*checksum"):
        OnnxSession(alone)


def test_two_starts_at_once_leave_one_whole_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second has examined the directory before the first wrote to it."""
    facts = {"data_note": None, "environment": {"kilonet": "0.1.0"}}
    first, second = (
        directory.Resolved("quick", start_run(f"training.seed={seed}").recipe(), data_named=True)
        for seed in (1, 2)
    )
    with directory.new_run(first, facts, tmp_path / "out") as run:
        with monkeypatch.context() as patch:
            patch.setattr(directory, "require_unused", lambda _: None)
            with (
                pytest.raises(RunError, match="in use"),
                directory.new_run(second, facts, run.path),
            ):
                pass
        assert run.recipe().training.seed == 1
    with pytest.raises(RunError, match="in use already"):
        enter(directory.new_run(second, facts, run.path))


@pytest.mark.parametrize(
    "leftovers",
    [
        (layout.LOCK,),
        (layout.LOCK, ".recipe.toml.0123456789ab.part"),
        (layout.LOCK, layout.RECIPE),
        (layout.LOCK, layout.RECIPE, ".run.json.0123456789ab.part"),
    ],
)
def test_a_start_that_was_killed_leaves_the_directory_free(
    tmp_path: Path, leftovers: tuple[str, ...]
) -> None:
    for name in leftovers:
        (tmp_path / name).write_text("half", encoding="utf-8")
    run = start_run(path=tmp_path)
    assert run.recipe().data.name == "digits"
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.parametrize("own", [(layout.RECIPE,), (layout.LOCK, "notes.txt")])
def test_a_users_files_are_not_leftovers(tmp_path: Path, own: tuple[str, ...]) -> None:
    for name in own:
        (tmp_path / name).write_text("mine", encoding="utf-8")
    with pytest.raises(RunError, match="in use already"):
        start_run(path=tmp_path)
    assert {
        path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()
    } == dict.fromkeys(own, "mine")
