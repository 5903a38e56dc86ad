"""Temporary folders, and what killed processes leave."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kilonet.files import temporary_folder

DAY = 24 * 3600


def folder(path: Path) -> None:
    path.mkdir()
    (path / "file").touch()


def file(path: Path) -> None:
    path.touch()


def link(path: Path) -> None:
    (path.parent / "target").mkdir()
    (path.parent / "target" / "kept").touch()
    path.symlink_to(path.parent / "target")


@pytest.mark.parametrize("make", [folder, file, link])
@pytest.mark.parametrize(
    ("name", "age", "removed"),
    [
        (".kilonet-temporary-abc", 2 * DAY, True),
        (".kilonet-temporary-abc", DAY / 2, False),
        ("kilonet-of-mine", 2 * DAY, False),
        (".other", 2 * DAY, False),
    ],
)
def test_only_old_leftovers_are_removed(
    make: Callable[[Path], None], name: str, age: float, removed: bool, tmp_path: Path
) -> None:
    path = tmp_path / name
    make(path)
    then = time.time() - age
    os.utime(path, (then, then), follow_symlinks=False)
    with temporary_folder(tmp_path) as made:
        assert Path(made).parent == tmp_path
    assert not Path(made).exists()
    assert os.path.lexists(path) is not removed
    assert make is not link or (tmp_path / "target" / "kept").exists()


def test_other_users_keep_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".kilonet-temporary-abc"
    path.mkdir()
    os.utime(path, (0, 0))
    monkeypatch.setattr(os, "getuid", lambda: 4321)
    with temporary_folder(tmp_path):
        assert path.exists()
