"""Sets that are published as one archive: downloaded, read without unpacking, verified."""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from archive_files import Arrays, emnist_like
from served import serve

from kilonet.data.dataset import Dataset, load_dataset
from kilonet.data.download import DownloadError, download
from kilonet.data.locate import is_available
from kilonet.data.registry import DATASETS
from kilonet.data.specs import DatasetSpec
from kilonet.errors import DataError

Made = tuple[DatasetSpec, Arrays]


@pytest.fixture
def published(tmp_path: Path) -> Path:
    return tmp_path / "published"


@pytest.fixture
def emnist(published: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    entry, arrays = emnist_like(published / "emnist")
    monkeypatch.setitem(DATASETS, "emnist-balanced", entry)
    return entry, arrays


def test_emnist_is_downloaded_once_and_its_images_are_transposed(
    emnist: Made, published: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = emnist[1]
    with serve(published) as mirror:
        monkeypatch.setenv("KILONET_MIRROR", mirror.url)
        dataset = load_dataset("emnist-balanced")
    assert mirror.requests == ["/emnist/gzip.zip"]
    assert [path.name for path in (cache / "emnist").iterdir()] == ["gzip.zip"]
    assert (dataset.num_classes, dataset.channels, dataset.image_size) == (47, 1, (28, 28))
    assert dataset.classes[46] == "t"
    upright = arrays["train_images"].transpose(0, 2, 1)
    assert np.array_equal(dataset.train_images[:, 0].numpy(), upright)
    assert dataset.test_labels.tolist() == arrays["test_labels"].tolist()
    assert dataset.train_labels.dtype == torch.int64
    pixels = dataset.train_images.double() / 255
    assert dataset.mean == (round(float(pixels.mean()), 4),)
    assert dataset.std == (round(float(pixels.std(correction=0)), 4),)
    assert load_dataset("emnist-balanced").source == str(cache / "emnist")  # no mirror any more


def _unzipped(folder: Path) -> None:
    with zipfile.ZipFile(folder / "gzip.zip") as packed:
        packed.extractall(folder)


def test_files_that_the_user_unpacked_are_used(emnist: Made, published: Path) -> None:
    name, folder = "emnist-balanced", published / "emnist"
    packed = load_dataset(name, published, download=False)
    _unzipped(folder)
    (folder / "gzip.zip").unlink()
    for where in (published, folder):
        found: Dataset = load_dataset(name, where, download=False)
        assert torch.equal(found.train_images, packed.train_images)
        assert torch.equal(found.test_labels, packed.test_labels)


def test_messages_name_damaged_files(emnist: Made, published: Path) -> None:
    path = published / "emnist/gzip.zip"
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(DataError, match=r"gzip\.zip is damaged .* cannot be read from it"):
        load_dataset("emnist-balanced", published, download=False)


def test_an_archive_without_a_file_is_named(emnist: Made, published: Path) -> None:
    with zipfile.ZipFile(published / "emnist" / "gzip.zip", "w") as packed:
        packed.writestr("readme.txt", "nothing")
    with pytest.raises(DataError, match=r"emnist-balanced-train-images.* cannot be read from it"):
        load_dataset("emnist-balanced", published, download=False)


def test_wrong_checksum_of_an_archive(emnist: Made, published: Path, cache: Path) -> None:
    shutil.copytree(published, published.with_name("bad"))
    bad = published.with_name("bad") / "emnist"
    (bad / "gzip.zip").write_bytes(b"something else")
    with serve(bad) as mirror:
        entry = replace(emnist[0], mirrors=(mirror.url,))
        with pytest.raises(DownloadError, match=r"gzip\.zip of EMNIST Balanced.*wrong checksum"):
            download(entry, cache)
    assert not is_available("emnist-balanced")
