"""Small archives of the formats that EMNIST and CIFAR-10 are published in."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from idx_files import idx_bytes
from numpy.typing import NDArray

from kilonet.data.registry import spec
from kilonet.data.specs import DatasetSpec, FileSpec

Arrays = dict[str, NDArray[np.uint8]]

_EMNIST_BALANCED, CIFAR10 = spec("emnist-balanced"), spec("cifar10")


def emnist_like(folder: Path) -> tuple[DatasetSpec, Arrays]:
    """Write ``gzip.zip`` of 94 + 47 images to ``folder``; return its entry and the arrays in it."""
    rng = np.random.default_rng(1)
    arrays = {
        "train_images": rng.integers(0, 256, (94, 28, 28), dtype=np.uint8),
        "train_labels": np.arange(94, dtype=np.uint8) % 47,
        "test_images": rng.integers(0, 256, (47, 28, 28), dtype=np.uint8),
        "test_labels": np.arange(47, dtype=np.uint8),
    }
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "gzip.zip", "w") as packed:
        packed.writestr("gzip/emnist-letters-train-images-idx3-ubyte.gz", b"others are in it too")
        for role, values in arrays.items():
            name = _EMNIST_BALANCED.files[role].filename
            packed.writestr(name, gzip.compress(idx_bytes(values), mtime=0))
    return _entry(_EMNIST_BALANCED, folder, (94, 47)), arrays


def cifar_like(folder: Path) -> tuple[DatasetSpec, Arrays]:
    """Write the batches, four records each, as a tar archive to ``folder``; return the same."""
    rng = np.random.default_rng(2)
    files, records = {}, {}
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / "cifar-10-binary.tar.gz", "w:gz") as bundle:
        for role, file in CIFAR10.files.items():
            values = rng.integers(0, 256, (4, 3073), dtype=np.uint8)
            values[:, 0] = rng.integers(0, 10, 4)
            content = values.tobytes()
            info = tarfile.TarInfo(file.filename)
            info.size = len(content)
            bundle.addfile(info, io.BytesIO(content))
            files[role] = replace(file, sha256=hashlib.sha256(content).hexdigest())
            records[role] = values
    return replace(_entry(CIFAR10, folder, (20, 4)), files=files), records


def _entry(like: DatasetSpec, folder: Path, counts: tuple[int, int]) -> DatasetSpec:
    assert like.archive is not None
    content = (folder / like.archive.filename).read_bytes()
    archive = FileSpec(like.archive.filename, hashlib.md5(content).hexdigest(), None)
    train, test = counts
    return replace(like, archive=archive, train_count=train, test_count=test, mirrors=())
