"""Folders of pictures: reading them, and errors."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from kilonet.data.dataset import load_dataset
from kilonet.data.folder import (
    dataset_spec,
    folder_path,
    list_folder,
    resolved_data,
    short_name,
)
from kilonet.data.locate import is_available
from kilonet.data.read_folder import read_folder
from kilonet.data.specs import ImageFormat
from kilonet.errors import DataError, UsageError
from kilonet.preprocessing import letterbox
from kilonet.recipe.schema import Data
from picture_folders import COLOURS, write_pictures

CLASSES = tuple(sorted(COLOURS))
FORMAT = ImageFormat(side=12, colour=True)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures", 10)


def test_a_folder_is_a_data_set(pictures: Path) -> None:
    dataset = load_dataset(f"folder:{pictures}", image_format=FORMAT)
    assert dataset.classes == CLASSES
    assert dataset.train_images.shape == (24, 3, 12, 12)
    assert torch.bincount(dataset.test_labels).tolist() == [2, 2, 2]
    assert (dataset.name, dataset.preparation) == ("folder:pictures", "fit")
    assert dataset.note is None
    assert all(0 < value < 1 for value in (*dataset.mean, *dataset.std))
    again = load_dataset(f"folder:{pictures}", image_format=FORMAT)
    assert torch.equal(again.test_images, dataset.test_images)
    grey = load_dataset(f"folder:{pictures}", image_format=ImageFormat(side=8, colour=False))
    assert grey.train_images.shape == (24, 1, 8, 8)
    assert grey.fingerprint == dataset.fingerprint


def test_pixels_and_labels_belong_together(pictures: Path) -> None:
    content = read_folder(pictures, FORMAT)
    images, labels, _, _ = content.tensors
    for one, image, label in zip(content.train, images, labels, strict=True):
        assert one.file.name.startswith(f"{CLASSES[label]}/")
        assert torch.equal(
            image, torch.from_numpy(letterbox(pictures / one.file.name, FORMAT.shape))
        )


def test_train_and_test_folders_are_kept(tmp_path: Path) -> None:
    write_pictures(tmp_path / "own" / "train", 4)
    write_pictures(tmp_path / "own" / "test", 2, seed=1)
    shutil.rmtree(tmp_path / "own" / "test" / CLASSES[0])
    content = read_folder(tmp_path / "own", FORMAT)
    assert (len(content.train), len(content.test), content.split_off) == (12, 4, False)
    assert {one.file.label for one in content.test} == {1, 2}
    (tmp_path / "own" / "test" / "fourth").mkdir()
    with pytest.raises(DataError, match=r'test/fourth: there is no class "fourth" in .*train'):
        list_folder(tmp_path / "own")


def test_hidden_and_nested_files(pictures: Path) -> None:
    deep = pictures / CLASSES[0] / "deep"
    deep.mkdir()
    shutil.copy(pictures / CLASSES[0] / "00.png", deep / "A.PNG")
    (pictures / ".cache").mkdir()
    (pictures / CLASSES[1] / ".hidden.png").write_bytes(b"")
    (pictures / CLASSES[1] / "notes.txt").write_text("x")
    listing = list_folder(pictures)
    assert listing.classes == CLASSES
    assert len(listing.pictures) == 31
    assert listing.others == (f"{CLASSES[1]}/notes.txt",)


def test_unreadable_files_are_left_out_and_named(pictures: Path) -> None:
    before = read_folder(pictures, FORMAT).fingerprint
    for number in range(4):
        (pictures / CLASSES[2] / f"broken{number}.jpg").write_bytes(b"nothing")
    content = read_folder(pictures, FORMAT)
    assert content.fingerprint != before
    assert len(content.train) + len(content.test) == 30
    assert content.note is not None
    assert content.note.startswith("4 files are unreadable and left out: ")
    assert f"{CLASSES[2]}/broken2.jpg and 1 more" in content.note


def test_another_content_has_another_fingerprint(pictures: Path) -> None:
    before = read_folder(pictures, FORMAT).fingerprint
    path = pictures / CLASSES[0] / "00.png"
    with Image.open(path) as image:
        changed = image.rotate(180)
    changed.save(path)
    after = read_folder(pictures, FORMAT).fingerprint
    assert after != before
    path.rename(path.with_name("renamed.png"))
    assert read_folder(pictures, FORMAT).fingerprint not in (before, after)


def test_refused(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere does not exist\. Name a folder .*folder:PATH"):
        load_dataset(f"folder:{tmp_path / 'nowhere'}")
    with pytest.raises(UsageError, match=r"00\.png is not a folder"):
        load_dataset(f"folder:{pictures / CLASSES[0] / '00.png'}")
    with pytest.raises(DataError, match=r"has no sub-folders\. Put the pictures of each class"):
        load_dataset(f"folder:{pictures / CLASSES[0]}")
    (pictures / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty has no pictures, but each sub-folder is a class"):
        load_dataset(f"folder:{pictures}")
    for name in (CLASSES[0], CLASSES[1], "empty"):
        shutil.rmtree(pictures / name)
    with pytest.raises(DataError, match=r'has one class, "red, dark"; a classifier needs two'):
        load_dataset(f"folder:{pictures}")
    for file in (pictures / CLASSES[2]).iterdir():
        file.unlink()
    with pytest.raises(DataError, match=r"has no pictures \(.*\.png"):
        load_dataset(f"folder:{pictures}")


def test_a_class_without_readable_pictures(pictures: Path) -> None:
    for file in (pictures / CLASSES[1]).iterdir():
        file.write_bytes(b"nothing")
    with pytest.raises(DataError, match=r'no picture of the class "green" can be read'):
        load_dataset(f"folder:{pictures}")


def test_too_few_pictures_for_a_test_split(tmp_path: Path) -> None:
    folder = tmp_path / "two"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        Image.new("RGB", (9, 9)).save(folder / name / "1.png")
    with pytest.raises(DataError, match="has 2 pictures, too few for a test split"):
        load_dataset(f"folder:{folder}")


def test_a_recipe_describes_and_resolves_it(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pictures.parent)
    data = Data(name="folder:pictures", side=16)
    known = dataset_spec(data)
    assert (known.shape, known.classes) == ((3, 16, 16), CLASSES)
    assert (known.train_count, known.title) == (30, "the pictures in pictures")
    recorded = resolved_data(data)
    assert recorded.name == f"folder:{pictures}"
    assert (recorded.side, recorded.colour) == (16, True)
    assert resolved_data(Data()) == Data()
    assert short_name(recorded.name) == "folder:pictures"
    assert folder_path("folder:pictures") == pictures
    assert is_available("folder:pictures") and not is_available("folder:none")


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("train", "test"), {"train", "test"}),
        (("training", "testing"), {"train", "test"}),
        (("train", "val"), {"train"}),
        (("training", "validation", "test"), {"train", "test"}),
    ],
)
def test_names_of_splits(
    tmp_path: Path, names: tuple[str, ...], splits: set[str], upper: bool
) -> None:
    for name in names:
        write_pictures(tmp_path / "all" / (name.capitalize() if upper else name), 3)
    folder = list_folder(tmp_path / "all")
    assert folder.classes == CLASSES
    assert len(folder.pictures) == 3 * len(CLASSES) * len(names)
    assert {picture.split for picture in folder.pictures} == splits


def test_links_in_a_circle_are_not_followed(pictures: Path) -> None:
    before = list_folder(pictures)
    (pictures / CLASSES[0] / "again").symlink_to(pictures / CLASSES[0])
    (pictures / CLASSES[0] / "up").symlink_to("..")
    (pictures / CLASSES[1] / "nowhere").symlink_to("nowhere")
    after = list_folder(pictures)
    assert after.pictures == before.pictures
    assert after.classes == CLASSES


def test_the_folder_that_macos_adds_is_ignored(pictures: Path) -> None:
    (pictures / "__MACOSX" / CLASSES[0]).mkdir(parents=True)
    (pictures / "__MACOSX" / CLASSES[0] / "._a.png").write_bytes(b"x")
    assert list_folder(pictures).classes == CLASSES
