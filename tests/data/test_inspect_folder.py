"""The report on a folder of pictures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from test_similar import scene

from kilonet.data.inspect_folder import inspect_folder
from kilonet.data.read_folder import read_folder
from kilonet.data.specs import Look
from picture_folders import write_pictures


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """Train and test folders of two classes, all pictures different."""
    for part, count, first in (("train", 6, 0), ("test", 2, 50)):
        for place, name in enumerate(("a", "b")):
            folder = tmp_path / "scenes" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                scene(first + 10 * place + number).save(folder / f"{number}.png")
    return tmp_path / "scenes"


def test_all_is_well(scenes: Path) -> None:
    report = inspect_folder(scenes)
    assert [(c.name, c.train, c.test) for c in report.classes] == [("a", 6, 2), ("b", 6, 2)]
    assert report.imbalance == 1 and not report.split_off
    findings = (report.unreadable, report.others, report.copies, report.near_copies)
    assert findings == ((), (), (), ()) and report.contradictions == ()
    assert report.fingerprint == read_folder(scenes, Look()).fingerprint


def test_what_is_wrong_is_named(scenes: Path) -> None:
    shutil.copy(scenes / "train/a/0.png", scenes / "test/a/copy.png")
    with Image.open(scenes / "train/b/1.png") as image:
        image.resize((90, 70)).save(scenes / "test/b/smaller.jpg", quality=60)
    shutil.copy(scenes / "train/a/2.png", scenes / "train/b/other.png")
    (scenes / "train/a/broken.png").write_bytes(b"nothing")
    (scenes / "train/a/notes.txt").write_text("x")
    for number in range(3, 6):
        (scenes / "train/a" / f"{number}.png").unlink()
    report = inspect_folder(scenes)
    assert report.copies == (("train/a/0.png", "test/a/copy.png"),)
    assert report.near_copies == (("train/b/1.png", "test/b/smaller.jpg"),)
    assert report.contradictions == (("train/a/2.png", "train/b/other.png"),)
    assert report.unreadable == (("train/a/broken.png", "its content is of no known format"),)
    assert report.others == ("train/a/notes.txt",)
    assert report.imbalance == pytest.approx(7 / 3)
    stored = json.loads(json.dumps(report.to_json()))
    assert stored["imbalance"] == 2.333 and stored["copies"] == [list(report.copies[0])]


def test_a_test_part_that_was_split_off(tmp_path: Path) -> None:
    report = inspect_folder(write_pictures(tmp_path / "pictures", 5))
    assert report.split_off and [c.test for c in report.classes] == [1, 1, 1]
