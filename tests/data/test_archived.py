"""Sets that are published as one archive: downloaded, read without unpacking, verified."""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from archive_files import Arrays, cifar_like, emnist_like
from served import serve

from kilonet.data.dataset import Dataset, load_dataset
from kilonet.data.download import DownloadError, download
from kilonet.data.formats import ArchiveMember, read_records
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


@pytest.fixture
def cifar(published: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    entry, records = cifar_like(published / "cifar10")
    monkeypatch.setitem(DATASETS, "cifar10", entry)
    return entry, records


def tar_header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tar_header("other", 12_000_000_000), "other has 12,000,000,000 bytes"),
        (tar_header("name", 12_000_000_000, tarfile.XHDTYPE), "unpacks to more than"),
        (tar_header("name", 12_000_000_000, tarfile.GNUTYPE_LONGNAME), "unpacks to more than"),
        (tar_header("other", 0) + bytes(1024), "no file"),
    ],
)
def test_an_archive_may_not_unpack_to_any_size(
    tmp_path: Path, content: bytes, message: str
) -> None:
    archive = tmp_path / "cifar-10-binary.tar.gz"
    with gzip.open(archive, "wb", compresslevel=1) as file:
        file.write(content)
        for _ in range(0 if message == "no file" else 40):
            file.write(bytes(2**24))
    with pytest.raises(DataError, match=message):
        read_records(ArchiveMember(archive, "data_batch_1.bin"), (3, 32, 32), 10)


def test_a_batch_may_not_have_any_size(tmp_path: Path) -> None:
    (tmp_path / "data_batch_1.bin").touch()
    os.truncate(tmp_path / "data_batch_1.bin", 12_000_000_000)
    with pytest.raises(DataError, match="more than"):
        read_records(tmp_path / "data_batch_1.bin", (3, 32, 32), 10)


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


def test_cifar_is_fetched_and_its_channels_are_planes(
    cifar: Made, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, records = cifar
    with serve(published) as mirror:
        monkeypatch.setenv("KILONET_MIRROR", mirror.url)
        dataset = load_dataset("cifar10")
    assert mirror.requests == ["/cifar10/cifar-10-binary.tar.gz"]
    assert dataset.train_images.shape == (20, 3, 32, 32)
    assert (dataset.mean, dataset.std) == (entry.mean, entry.std)
    first = records["train_1"][0]
    assert dataset.train_labels[0] == first[0]
    red, green, blue = first[1:].reshape(3, 32, 32)
    assert np.array_equal(dataset.train_images[0].numpy(), np.stack([red, green, blue]))
    last = records["test"][-1]
    assert dataset.test_images[-1, 2, 31, 31] == last[-1]
    assert dataset.test_labels[-1] == last[0]


def _unzipped(folder: Path) -> None:
    with zipfile.ZipFile(folder / "gzip.zip") as packed:
        packed.extractall(folder)


def _untarred(folder: Path) -> None:
    with tarfile.open(folder / "cifar-10-binary.tar.gz") as bundle:
        bundle.extractall(folder, filter="data")


@pytest.mark.parametrize(
    ("name", "unpack"), [("emnist-balanced", _unzipped), ("cifar10", _untarred)]
)
def test_files_that_the_user_unpacked_are_used(
    emnist: Made, cifar: Made, published: Path, name: str, unpack: Callable[[Path], None]
) -> None:
    folder = published / DATASETS[name].folder
    packed = load_dataset(name, published, download=False)
    unpack(folder)
    archive = DATASETS[name].archive
    assert archive is not None
    (folder / archive.filename).unlink()
    for where in (published, folder):
        found: Dataset = load_dataset(name, where, download=False)
        assert torch.equal(found.train_images, packed.train_images)
        assert torch.equal(found.test_labels, packed.test_labels)


def test_messages_name_damaged_files(emnist: Made, cifar: Made, published: Path) -> None:
    for path in (published / "emnist/gzip.zip", published / "cifar10/cifar-10-binary.tar.gz"):
        path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(DataError, match=r"gzip\.zip is damaged .* cannot be read from it"):
        load_dataset("emnist-balanced", published, download=False)
    with pytest.raises(DataError, match=r"tar\.gz is damaged"):
        load_dataset("cifar10", published, download=False)


def test_batches_that_are_not_the_published_ones_are_refused(
    cifar: Made, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, _ = cifar
    folder = published / "cifar10"
    _untarred(folder)
    batch = folder / "cifar-10-batches-bin" / "data_batch_2.bin"
    good = batch.read_bytes()
    for content, text in (
        (good[:-1], r"expected a multiple of 3,073"),
        (b"\x0a" + good[1:], r"the label 10; expected 0 to 9"),
        (good[:-1] + bytes([good[-1] ^ 1]), r"SHA-256 .* CIFAR-10's published training 2"),
    ):
        batch.write_bytes(content)
        with pytest.raises(DataError, match=text):
            load_dataset("cifar10", published, download=False)
    batch.write_bytes(good)
    monkeypatch.setitem(DATASETS, "cifar10", replace(entry, train_count=50_000))
    with pytest.raises(DataError, match=r"20 items; CIFAR-10 has 50,000"):
        load_dataset("cifar10", published, download=False)


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
