"""Data of the user's own: every form that ``train`` and ``evaluate`` take, and what they refuse."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Subset, TensorDataset

import kilonet
from kilonet.data.dataset import Dataset, load_dataset
from kilonet.errors import DataError, UsageError
from kilonet.recipe.load import resolve
from kilonet.workflows.own_data import as_dataset, in_classes, name_of
from kilonet.workflows.session import open_session

IMAGES = np.arange(40 * 28 * 28).reshape(40, 28, 28).astype(np.uint8)
LABELS = np.arange(40) % 2


class ClassLabel:
    """Hugging Face's feature of a label column, as this package sees it."""

    names = ("no", "yes")


class Split(list[dict[str, Any]]):
    """A split of Hugging Face's ``datasets``: rows, features and column names."""

    column_names = ("picture", "answer")
    features: ClassVar[dict[str, object]] = {
        "picture": type("Image", (), {})(),
        "answer": ClassLabel(),
    }


def split(images: np.ndarray[Any, Any] = IMAGES) -> Split:
    return Split(
        {"picture": Image.fromarray(image), "answer": int(label)}
        for image, label in zip(images, LABELS, strict=False)
    )


def torch_set() -> TensorDataset:
    return TensorDataset(torch.from_numpy(IMAGES)[:, None], torch.from_numpy(LABELS))


ONE_SPLIT: list[Any] = [
    (IMAGES, LABELS),
    [torch.from_numpy(IMAGES), torch.from_numpy(LABELS)],
    (list(IMAGES), LABELS.tolist()),
    (IMAGES[:, None], LABELS.astype(str)),
    (IMAGES / 255.0, LABELS),
    torch_set(),
    {"train": torch_set()},
]


@pytest.mark.parametrize("data", ONE_SPLIT)
def test_forms_of_one_split(data: Any) -> None:
    dataset = as_dataset(data)
    assert (len(dataset.train_labels), len(dataset.test_labels)) == (32, 8)
    assert dataset.train_images.dtype == torch.uint8
    whole = as_dataset(data, for_test=True)
    assert torch.equal(whole.test_images, torch.from_numpy(IMAGES)[:, None])
    assert whole.test_labels.tolist() == LABELS.tolist()
    assert whole.classes == ("0", "1")
    assert whole.name == as_dataset((IMAGES, LABELS), for_test=True).name


@pytest.mark.parametrize(
    "data",
    [
        ((IMAGES, LABELS), (IMAGES[:4], LABELS[:4])),
        [[IMAGES, LABELS], [IMAGES[:4], LABELS[:4]]],
        (torch_set(), Subset(torch_set(), range(4))),
        {"train": torch_set(), "test": Subset(torch_set(), range(4))},
        {"train": torch_set(), "validation": Subset(torch_set(), range(4))},
    ],
)
def test_forms_of_two_splits(data: Any) -> None:
    dataset = as_dataset(data)
    assert torch.equal(dataset.train_images, torch.from_numpy(IMAGES)[:, None])
    assert torch.equal(dataset.test_images, torch.from_numpy(IMAGES)[:4, None])


def test_a_split_of_hugging_face() -> None:
    dataset = as_dataset({"train": split(), "test": split(IMAGES[:6])})
    assert dataset.classes == ("no", "yes")
    assert torch.equal(dataset.train_images, torch.from_numpy(IMAGES)[:, None])
    assert (len(dataset.test_labels), dataset.preparation) == (6, "fit")
    assert as_dataset(split()).classes == ("no", "yes")


def png(image: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def test_the_real_hugging_face_package() -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["no", "yes"])}
    )
    pictures = [{"bytes": png(image), "path": None} for image in IMAGES]
    table = pytest.importorskip("pyarrow").Table.from_pydict(
        {"image": pictures, "label": LABELS.tolist()}, schema=features.arrow_schema
    )
    split = datasets.Dataset(
        datasets.table.InMemoryTable(table),
        info=datasets.DatasetInfo(features=features),
        fingerprint="test",
    )
    dataset = as_dataset(split, for_test=True)
    assert torch.equal(dataset.test_images, torch.from_numpy(IMAGES)[:, None])
    assert dataset.classes == ("no", "yes")


def test_pictures_of_different_sizes_and_colours() -> None:
    pictures = [Image.new("RGB", (20 + n, 30), (200, 0, n)) for n in range(10)]
    dataset = as_dataset((pictures, LABELS[:10]))
    assert dataset.train_images.shape == (8, 3, 32, 32)
    assert as_dataset((pictures[:1] * 10, LABELS[:10])).train_images.shape == (8, 3, 30, 20)


def test_the_levels_are_those_of_the_training_images() -> None:
    data = ((IMAGES / 255.0, LABELS), (np.full((1, 28, 28), 0.5), LABELS[:1]))
    assert as_dataset(data).test_images.unique().tolist() == [128]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (3, "data is int. Give a registered name"),
        ((IMAGES, LABELS[:5]), r"40 images and labels of shape \(5,\)"),
        ((IMAGES[:0], LABELS[:0]), "1 or more"),
        ((IMAGES, LABELS * 0), "1 class only"),
        ([(1, 2), (3, 4)], "A pair of arrays"),
        ((IMAGES * np.nan, LABELS), "no finite numbers"),
        (([[1], [1, 2]], [0, 1]), "different shapes|numbers of one shape"),
        ((IMAGES.repeat(2, 2)[:, None, :, :, None], LABELS), "5 axes"),
        (((IMAGES, LABELS), (IMAGES[:, :20], LABELS)), "test images"),
        (((IMAGES, LABELS), (IMAGES, LABELS + 1)), "no training image of the class 2"),
        (TensorDataset(torch.zeros(4, 28, 28)), r"not pairs \(image, label\)"),
        ({"test": torch_set()}, 'no split "train", but test'),
    ],
)
def test_bad_data_is_one_message(data: Any, text: str, tmp_path: Path) -> None:
    with pytest.raises((DataError, UsageError), match=text):
        kilonet.train("quick", data=data)
    assert not (tmp_path / "runs").exists()


def test_names_and_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mnist").mkdir()
    assert [name_of(data) for data in ("mine", Path("mine"), "folder:mine")] == ["folder:mine"] * 3
    assert name_of("mnist") == "mnist"
    assert name_of((IMAGES, LABELS)) is None
    with pytest.raises(UsageError, match='Did you mean "mnist"'):
        kilonet.train("quick", data="mnits")


def test_labels_in_the_order_of_the_networks_classes() -> None:
    dataset = in_classes(as_dataset((IMAGES, LABELS + 3)), ("0", "4", "3"))
    assert dataset.test_labels.unique().tolist() == [1, 2]
    assert in_classes(dataset, ("a", "b", "c")) is dataset


def test_a_run_of_arrays_is_evaluated_and_told_apart(without_report: None, tmp_path: Path) -> None:
    digits = load_dataset("digits")
    data = (digits.train_images[:200].numpy(), digits.train_labels[:200].numpy())
    run = kilonet.train("plain-valid-sgd", data=data, epochs=1, threads=1, class_weights="balanced")
    assert run.recipe.data.name == f"memory:{(run.data_info.fingerprint or '')[:8]}"
    assert run.test.total == 40
    assert kilonet.evaluate(run, data=data).total == 200
    with pytest.raises(UsageError, match=r"Give them again: data=\.\.\."):
        kilonet.evaluate(run)
    run.directory.update_facts(finished=False)
    with pytest.raises(DataError, match="are not those that"):
        kilonet.resume(run.path, data=(data[0][:100], data[1][:100]))
    assert kilonet.resume(run.path, data=data).test == run.test


def test_the_splits_are_those_of_a_recipe() -> None:
    data = kilonet.dataset("digits")
    lengths = [len(part) for part in (data.train, data.validation, data.test)]
    assert lengths == [1318, 120, 359]
    image, label = data.train[3]
    assert (image.shape, image.dtype, type(label)) == ((1, 28, 28), torch.float32, int)
    assert isinstance(data.dataset, Dataset)
    assert kilonet.dataset((IMAGES, LABELS), validation=0.25).classes == ("0", "1")


def test_the_batches_are_those_of_a_training() -> None:
    words = ["data.name=digits", "training.epochs=2", "training.threads=1"]
    words += ["training.kernels=torch", "augmentation.rotation=10", "training.batch_size=500"]
    seen: list[torch.Tensor] = []
    with open_session(resolve("plain-valid-sgd", words)) as session:
        session.fit.model.register_forward_pre_hook(
            lambda module, inputs: seen.append(inputs[0].clone()) if module.training else None
        )
        session.run()
    loader = kilonet.dataset("digits").train.loader(500, augmentation={"rotation": 10})
    batches = [images for _ in range(2) for images, _ in loader]
    assert len(loader) * 2 == len(batches) == len(seen) == 6
    assert all(torch.equal(one, other) for one, other in zip(batches, seen, strict=True))


def test_bad_settings_of_a_loader() -> None:
    train = kilonet.dataset("digits").train
    with pytest.raises(UsageError, match="batch_size is 0"):
        train.loader(0)
    with pytest.raises(UsageError, match="rotaton"):
        train.loader(augmentation={"rotaton": 10})
    with pytest.raises(UsageError, match='Did you mean "quick"'):
        train.loader(augmentation="quik")


def test_the_loop_of_the_how_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the page's code on the small digits."""
    page = Path(__file__).parents[2] / "docs" / "how-to" / "own-loop.md"
    code = page.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    code = code.replace('"mnist"', '"digits"').replace("range(5)", "range(3)")
    code = code.replace('"gap-14k"', '"plain-valid-sgd"').replace('"html"', '"onnx"')
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    torch.manual_seed(0)
    exec(code, names)
    assert kilonet.evaluate(names["net"], data="digits").accuracy > 0.5
    assert (tmp_path / "export" / "PlainValid.onnx").is_file()
    assert "datasets" not in sys.modules
