from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from idx_files import TinySet

from kilonet.data.dataset import DatasetNotFoundError, load_dataset
from kilonet.errors import DataError, UsageError


@pytest.mark.parametrize("packed", [True, False], ids=["gz", "unpacked"])
def test_loads_the_content_of_the_files(tiny: TinySet, tmp_path: Path, packed: bool) -> None:
    tiny.place(tmp_path / "data" / "Tiny" / "raw", packed)
    dataset = load_dataset("tiny", tmp_path / "data")
    for role, values in tiny.arrays.items():
        loaded = getattr(dataset, role)
        assert loaded.dtype == (torch.uint8 if "images" in role else torch.int64)
        np.testing.assert_array_equal(loaded.numpy().reshape(values.shape), values)
    assert dataset.train_images.shape == (30, 1, 28, 28)
    assert (dataset.channels, dataset.image_size, dataset.num_classes) == (1, (28, 28), 10)
    assert (dataset.name, dataset.title) == ("tiny", "Tiny")
    assert dataset.source == str(tmp_path / "data" / "Tiny" / "raw")


def test_environment_names_the_folder(tiny: TinySet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KILONET_DATA", str(tiny.home))
    assert load_dataset("tiny").source == str(tiny.home / "tiny")


def test_missing_files_give_the_searched_folders_and_a_remedy(
    tiny: TinySet, cache: Path, tmp_path: Path
) -> None:
    tiny.place(tmp_path / "data" / "tiny")
    (tmp_path / "data" / "tiny" / "t10k-images-idx3-ubyte.gz").unlink()
    for may_download in (True, False):
        with pytest.raises(DatasetNotFoundError) as caught:
            load_dataset("tiny", tmp_path / "data", download=may_download)
        message = str(caught.value)
        assert message.startswith(f"Tiny is not in {tmp_path / 'data'}, {cache}.")
        assert "lacks t10k-images-idx3-ubyte.gz." in message
        assert "--data-dir" in message and "KILONET_DATA" in message
    assert not any(cache.rglob("*.gz"))


def test_without_download_no_mirror_is_used(
    tiny: TinySet, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kilonet.data.dataset.fetch", lambda *_: pytest.fail("downloaded"))
    with pytest.raises(DatasetNotFoundError):
        load_dataset("tiny", download=False)


def test_a_damaged_file_is_not_reported_as_missing(tiny: TinySet) -> None:
    path = tiny.home / "tiny" / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz is damaged") as caught:
        load_dataset("tiny", tiny.home)
    assert not isinstance(caught.value, DatasetNotFoundError)


def test_swapped_files_are_found(tiny: TinySet) -> None:
    folder = tiny.home / "tiny"
    shutil.copy(folder / "t10k-labels-idx1-ubyte.gz", folder / "train-labels-idx1-ubyte.gz")
    with pytest.raises(DataError, match="holds 20 items; Tiny has 30"):
        load_dataset("tiny", tiny.home)


def test_a_changed_pixel_is_found(tiny: TinySet) -> None:
    path = tiny.home / "tiny" / "t10k-images-idx3-ubyte.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[-1] ^= 1
    path.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(DataError, match="SHA-256"):
        load_dataset("tiny", tiny.home)


def test_unknown_name() -> None:
    with pytest.raises(UsageError, match=r'Did you mean "digits"\?'):
        load_dataset("digit")


@pytest.mark.mnist("mnist", "fashion-mnist")
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_loads_the_real_sets(name: str, mnist_dir: Path) -> None:
    dataset = load_dataset(name, mnist_dir, download=False)
    assert dataset.train_images.shape == (60_000, 1, 28, 28)
    assert dataset.test_images.shape == (10_000, 1, 28, 28)
    counts = dataset.train_labels.bincount()
    assert counts.sum() == 60_000 and len(counts) == 10
    if name == "mnist":  # as Y. LeCun's page has them
        assert counts.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    else:
        assert counts.tolist() == [6000] * 10


@pytest.mark.mnist
def test_mnist_in_the_folder_of_fashion_mnist_is_named(mnist_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(mnist_dir / "mnist", tmp_path / "fashion-mnist")
    with pytest.raises(DataError, match="is a file of MNIST; expected Fashion-MNIST's training im"):
        load_dataset("fashion-mnist", tmp_path, download=False)
