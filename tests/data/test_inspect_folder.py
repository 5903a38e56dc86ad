"""Inspection of a folder: counts, near-duplicates, contradictions."""

from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from kilonet.data.inspect_folder import difference_hash, inspect_folder, near_duplicates
from kilonet.data.read_folder import read_folder
from kilonet.data.specs import ImageFormat
from kilonet.preprocessing import letterbox
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


def test_a_folder_without_problems(scenes: Path) -> None:
    report = inspect_folder(scenes)
    assert [(c.name, c.train, c.test) for c in report.classes] == [("a", 6, 2), ("b", 6, 2)]
    assert report.imbalance == 1 and not report.split_off
    findings = (report.unreadable, report.others, report.copies, report.near_copies)
    assert findings == ((), (), (), ()) and report.contradictions == ()
    assert report.fingerprint == read_folder(scenes, ImageFormat()).fingerprint


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_what_is_no_file_is_unreadable(scenes: Path) -> None:
    folder = scenes / "train" / "a"
    os.mkfifo(folder / "pipe.png")
    (folder / "device.png").symlink_to("/dev/zero")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "circle").symlink_to(".")
    (folder / "sparse.png").touch()
    os.truncate(folder / "sparse.png", 12_000_000_000)
    report = inspect_folder(scenes)
    assert [(c.name, c.train, c.test) for c in report.classes] == [("a", 6, 2), ("b", 6, 2)]
    assert {name.rpartition("/")[2]: reason for name, reason in report.unreadable} == {
        "pipe.png": "it is a pipe or a device, not a file",
        "device.png": "it is a pipe or a device, not a file",
        "loop.png": "Too many levels of symbolic links",
        "sparse.png": "it has more than 268,435,456 bytes",
    }


def test_problems_are_named(scenes: Path) -> None:
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


def test_a_test_split_from_all_pictures(tmp_path: Path) -> None:
    report = inspect_folder(write_pictures(tmp_path / "pictures", 5))
    assert report.split_off and [c.test for c in report.classes] == [1, 1, 1]


Pixels = np.ndarray


def scene(seed: int) -> Image.Image:
    """Return a picture of some discs on a gradient."""
    rng = np.random.default_rng(seed)
    image = Image.linear_gradient("L").resize((200, 150)).rotate(int(rng.integers(0, 360)))
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y, r = rng.integers(10, 190), rng.integers(10, 140), rng.integers(5, 40)
        draw.ellipse([x - r, y - r, x + r, y + r], fill=int(rng.integers(0, 255)))
    return image


def drawing(digit: str) -> Image.Image:
    """Return a thin drawing on blank paper."""
    image = Image.new("L", (120, 120), 255)
    ImageDraw.Draw(image).text((40, 30), digit, fill=0, font_size=60)
    return image


def small(*images: Image.Image) -> Pixels:
    return np.stack([letterbox(image, (3, 64, 64)) for image in images])


def compressed(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=40)
    return Image.open(file)


def test_changed_copies_are_found() -> None:
    originals = [scene(seed) for seed in range(5)]
    copies = [
        originals[3].resize((400, 300)),
        compressed(originals[1]),
        originals[4].point(lambda value: value * 0.9 + 10),
    ]
    assert near_duplicates(small(*originals), small(*copies)) == [(1, 1), (3, 0), (4, 2)]


def test_different_pictures_are_not_copies() -> None:
    first = small(*(scene(seed) for seed in range(8)), *(drawing(d) for d in "01234"))
    second = small(*(scene(seed) for seed in range(8, 16)), *(drawing(d) for d in "56789"))
    assert near_duplicates(first, second) == []


def test_another_colour_is_not_a_copy_even_in_the_same_borders() -> None:
    def disc(colour: str) -> Image.Image:
        image = Image.new("RGB", (60, 120), (40, 50, 30))
        ImageDraw.Draw(image).ellipse([15, 45, 40, 70], fill=colour)
        return image

    pictures = small(disc("red"), disc("blue"))
    assert near_duplicates(pictures, pictures) == [(0, 0), (1, 1)]


def test_no_pictures_no_copies() -> None:
    assert near_duplicates(small(scene(0)), small(scene(0))[:0]) == []


def test_the_hash_says_which_neighbour_is_brighter() -> None:
    ramp = np.tile(np.arange(0, 170, 10, dtype=np.uint8), (1, 16, 1))
    assert difference_hash(ramp).all()
    assert not difference_hash(ramp[:, :, ::-1]).any()
