"""A small data set in IDX files, registered as ``tiny``, and a cache of its own for every test."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from idx_files import TinySet, idx_bytes

from kilonet.data.registry import DATASETS
from kilonet.data.specs import FileSpec

TRAIN, TEST = 30, 20


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty download cache; KILONET_DATA and KILONET_MIRROR are unset."""
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: tmp_path / "cache")
    folder = tmp_path / "cache" / "data"
    monkeypatch.delenv("KILONET_DATA", raising=False)
    monkeypatch.delenv("KILONET_MIRROR", raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    return folder


@pytest.fixture
def tiny(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> TinySet:
    """The set ``tiny``: 30 + 20 random images; no mirrors."""
    rng = np.random.default_rng(0)
    arrays = {
        "train_images": rng.integers(0, 256, (TRAIN, 28, 28), dtype=np.uint8),
        "train_labels": rng.integers(0, 10, TRAIN, dtype=np.uint8),
        "test_images": rng.integers(0, 256, (TEST, 28, 28), dtype=np.uint8),
        "test_labels": rng.integers(0, 10, TEST, dtype=np.uint8),
    }
    mnist, folder = DATASETS["mnist"], tmp_path / "home" / "tiny"
    folder.mkdir(parents=True)
    files = {}
    for role, values in arrays.items():
        plain = idx_bytes(values)
        packed = gzip.compress(plain, mtime=0)
        name = mnist.files[role].filename
        (folder / name).write_bytes(packed)
        md5 = hashlib.md5(packed).hexdigest()
        files[role] = FileSpec(name, md5, hashlib.sha256(plain).hexdigest())
    entry = replace(
        mnist,
        name="tiny",
        title="Tiny",
        train_count=TRAIN,
        test_count=TEST,
        folder="tiny",
        torchvision_folder="Tiny",
        files=files,
        mirrors=(),
    )
    monkeypatch.setitem(DATASETS, "tiny", entry)
    return TinySet(entry, folder.parent, arrays)
