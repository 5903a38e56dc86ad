from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from idx_files import TinySet, idx_bytes

from kilonet.data.registry import DATASETS
from kilonet.data.verify import belongs_elsewhere, check_published
from kilonet.errors import DataError

PATH = Path("somewhere/file.gz")


def test_accepts_every_published_file(tiny: TinySet) -> None:
    for role, values in tiny.arrays.items():
        check_published(PATH, values, tiny.entry, role)


def test_one_changed_bit_is_found(tiny: TinySet) -> None:
    images = tiny.arrays["test_images"].copy()
    images[7, 14, 14] ^= 1
    with pytest.raises(DataError, match=r"file\.gz is damaged.*SHA-256.*Tiny's published test im"):
        check_published(PATH, images, tiny.entry, "test_images")


def test_a_wrong_number_of_items_is_found_even_without_a_checksum(tiny: TinySet) -> None:
    entry = replace(tiny.entry, files={})
    with pytest.raises(DataError, match="holds 29 items; Tiny has 30 in this file"):
        check_published(PATH, tiny.arrays["train_labels"][:29], entry, "train_labels")


def test_a_file_of_another_set_is_named(tiny: TinySet, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = {role: replace(file, sha256=None) for role, file in tiny.entry.files.items()}
    other = replace(tiny.entry, name="other", title="Other", files=unknown)
    monkeypatch.setitem(DATASETS, "other", other)
    with pytest.raises(DataError, match="is a file of Tiny; expected Other's training labels"):
        check_published(PATH, tiny.arrays["train_labels"], other, "train_labels")
    check_published(PATH, 1 + tiny.arrays["train_images"], other, "train_images")


def test_belongs_elsewhere(tiny: TinySet, tmp_path: Path) -> None:
    path = tmp_path / "labels"
    path.write_bytes(idx_bytes(tiny.arrays["test_labels"]))
    assert not belongs_elsewhere(path, tiny.entry)
    assert belongs_elsewhere(path, DATASETS["kmnist"])
    path.write_bytes(idx_bytes(np.array([1, 2], np.uint8)))
    assert not belongs_elsewhere(path, DATASETS["kmnist"])
    path.write_bytes(b"damaged")
    assert not belongs_elsewhere(path, DATASETS["kmnist"])
