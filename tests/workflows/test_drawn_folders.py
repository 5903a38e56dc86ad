"""Folders of drawn digits: prepared as for MNIST by themselves, or left as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import kilonet
from kilonet.data.dataset import load_dataset
from kilonet.data.folder import data_like, dataset_spec, image_format
from kilonet.data.handwriting import handwritten_digits
from kilonet.data.specs import INK_FORMAT, DataInfo
from kilonet.errors import RecipeError
from kilonet.recipe.schema import Data

EACH = 5


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five drawings of each digit, dark ink on large sheets of paper, to train and to test."""
    folder = tmp_path_factory.mktemp("drawn") / "digits"
    draw(folder / "train")
    draw(folder / "test")
    return folder


def draw(folder: Path, names: str = "0123456789") -> Path:
    images, labels = handwritten_digits(400, torch.Generator().manual_seed(1))
    rng = np.random.default_rng(0)
    for label, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for number, image in enumerate(images[labels == label][:EACH]):
            ink = Image.fromarray(image[0].numpy()).resize((140, 140), Image.Resampling.BICUBIC)
            paper = np.full((200, 240), 235, dtype=np.uint8)
            top, left = rng.integers(5, 55, 2)
            area = paper[top : top + 140, left : left + 140]
            area[:] = np.minimum(area, 255 - np.asarray(ink))
            Image.fromarray(paper).save(folder / name / f"{number}.png")
    return folder


def test_evaluated_as_they_are_predicted(drawings: Path) -> None:
    """The pictures that the reader gets right are right here, too."""
    reader = kilonet.reader("kilonet-8k")
    files = sorted(drawings.glob("test/*/*.png"))
    right = sum(reader.predict(file).digit == file.parent.name for file in files)
    assert right >= 0.9 * len(files)
    metrics = kilonet.evaluate("kilonet-8k", data=drawings)
    assert (metrics.correct, metrics.total) == (right, 10 * EACH)


def test_a_folder_of_drawings_is_ink(drawings: Path) -> None:
    data = Data(name=f"folder:{drawings}")
    assert image_format(data) == INK_FORMAT
    spec = dataset_spec(data)
    assert (spec.shape, spec.preparation) == ((1, 28, 28), "ink")
    dataset = load_dataset(data.name, image_format=INK_FORMAT)
    assert dataset.preparation == "ink"
    assert dataset.train_images[:, :, 0].max() == 0  # an empty border
    whole = Data(name=data.name, preparation="fit")
    assert dataset_spec(whole).shape == (3, 32, 32)
    assert dataset_spec(Data(name=data.name, side=20)).preparation == "fit"


def test_other_folders_are_not(drawings: Path, tmp_path: Path) -> None:
    words = tmp_path / "words"
    for name in ("0", "1"):
        (words / f"digit {name}").mkdir(parents=True)
        for file in (drawings / "train" / name).iterdir():
            (words / f"digit {name}" / file.name).write_bytes(file.read_bytes())
    photographs = tmp_path / "photographs"
    rng = np.random.default_rng(0)
    for name in "ab":
        (photographs / name).mkdir(parents=True)
        for number in range(6):
            noise = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)
            picture = Image.fromarray(noise).resize((90, 90), Image.Resampling.BICUBIC)
            picture.save(photographs / name / f"{number}.png")
    for folder in (words, photographs):
        assert image_format(Data(name=f"folder:{folder}")).preparation == "fit"


def test_a_picture_without_a_digit_is_left_out_and_named(tmp_path: Path) -> None:
    folder = draw(tmp_path / "drawn", "01")
    Image.new("L", (100, 100), 255).save(folder / "1" / "blank.png")
    dataset = load_dataset(f"folder:{folder}", image_format=INK_FORMAT)
    assert len(dataset.train_labels) + len(dataset.test_labels) == 2 * EACH
    assert dataset.note == (
        "1 file is left out, as no single digit or letter can be cut out: 1/blank.png. "
        "data.preparation=fit takes whole pictures."
    )


def test_some_of_the_classes_are_enough(tmp_path: Path) -> None:
    folder = draw(tmp_path / "drawn", "0123")
    (folder / "0").rename(folder / "x")
    for number in range(EACH):
        (folder / "x" / f"{number}.png").unlink()
    (folder / "x").rmdir()
    metrics = kilonet.evaluate("kilonet-8k", data=f"folder:{folder}")
    assert metrics.total == 3
    assert metrics.correct >= 2
    assert len(metrics.per_class) == 10


def test_the_preparation_is_part_of_the_recipe(drawings: Path, without_report: None) -> None:
    run = kilonet.train(weights="kilonet-2k", data=drawings, epochs=1, threads=1, freeze="features")
    data = run.recipe.data
    assert (data.preparation, data.side, data.colour) == ("ink", 28, False)
    assert run.data_info.preparation == "ink"
    assert data_like("folder:x", run.data_info).preparation == "ink"
    colour = DataInfo("x", "x", (3, 40, 40), ("a", "b"), (0.0,), (1.0,), "fit")
    assert data_like("folder:x", colour) == Data(
        name="folder:x", side=40, colour=True, preparation="fit"
    )


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["data.name=folder:x", "data.preparation=ink", "data.side=32"], "leave side and colour"),
        (["data.name=folder:x", "data.preparation=ink", "data.colour=true"], "leave side and"),
        (["data.name=mnist", "data.preparation=fit"], "preparation is for a folder of pictures"),
        (["data.name=folder:x", "data.preparation=inc"], "ink"),
    ],
)
def test_refused(words: list[str], text: str) -> None:
    with pytest.raises(RecipeError, match=text):
        kilonet.train("quick", overrides=words)
