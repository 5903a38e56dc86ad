"""Finding files, listing data sets, and checking that files are the published ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from idx_files import TinySet, idx_bytes

from kilonet.data.locate import (
    belongs_elsewhere,
    check_published,
    incomplete,
    is_available,
    locate,
    search_path,
    source_of,
)
from kilonet.data.registry import DATASETS
from kilonet.errors import DataError, UsageError


def test_search_path_prefers_the_argument_to_the_environment(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert search_path(None) == (cache,)
    monkeypatch.setenv("KILONET_DATA", str(tmp_path / "env"))
    assert search_path(None) == (tmp_path / "env", cache)
    assert search_path(tmp_path / "arg") == (tmp_path / "arg", cache)


@pytest.mark.parametrize("layout", ["tiny", "Tiny/raw", "."])
@pytest.mark.parametrize("packed", [True, False], ids=["gz", "unpacked"])
def test_finds_every_layout(layout: str, packed: bool, tiny: TinySet, tmp_path: Path) -> None:
    folder = tmp_path / "data" / layout
    tiny.place(folder, packed)
    files = locate(tiny.entry, tmp_path / "data")
    assert files is not None and set(files) == set(tiny.entry.files)
    assert {path.parent for path in files.values()} == {folder}
    assert all(path.name.endswith(".gz") == packed for path in files.values())


def test_a_named_folder_without_the_set_is_skipped(
    tiny: TinySet, cache: Path, tmp_path: Path
) -> None:
    tiny.place(cache / "tiny")
    (tmp_path / "empty").mkdir()
    for data_dir in (tmp_path / "empty", tmp_path / "missing", None):
        files = locate(tiny.entry, data_dir)
        assert files is not None and files["test_labels"].parent == cache / "tiny"


def test_the_named_folder_comes_before_the_cache(
    tiny: TinySet, cache: Path, tmp_path: Path
) -> None:
    tiny.place(cache / "tiny")
    files = locate(tiny.entry, tiny.home)
    assert files is not None and files["test_labels"].is_relative_to(tiny.home)


def test_an_incomplete_folder_is_skipped(tiny: TinySet, tmp_path: Path) -> None:
    tiny.place(tmp_path / "data" / "tiny")
    assert incomplete(tiny.entry, tmp_path / "data") == ""
    (tmp_path / "data" / "tiny" / "t10k-labels-idx1-ubyte.gz").unlink()
    assert locate(tiny.entry, tmp_path / "data") is None
    assert not is_available("tiny", tmp_path / "data")
    message = incomplete(tiny.entry, tmp_path / "data")
    assert message == f" {tmp_path / 'data' / 'tiny'} lacks t10k-labels-idx1-ubyte.gz."


def test_files_of_another_set_are_not_used(tiny: TinySet, tmp_path: Path) -> None:
    """All sets use the same file names."""
    tiny.place(tmp_path / "data")
    assert locate(tiny.entry, tmp_path / "data") is not None
    assert locate(DATASETS["kmnist"], tmp_path / "data") is None


def test_is_available(tiny: TinySet) -> None:
    assert is_available("digits")
    assert is_available("tiny", tiny.home)
    assert not is_available("tiny")
    with pytest.raises(UsageError, match=r'Did you mean "mnist"\?'):
        is_available("mnits")


def test_the_source_of_a_set_is_its_folder(tiny: TinySet) -> None:
    assert source_of(tiny.entry, tiny.home) == str(tiny.home / "tiny")
    assert source_of(DATASETS["digits"], tiny.home) == "scikit-learn"
    assert source_of(DATASETS["mnist"], tiny.home) is None
    assert (DATASETS["mnist"].train_count, DATASETS["mnist"].test_count) == (60_000, 10_000)
    assert "CC BY-SA" in DATASETS["mnist"].licence


def test_counts_of_digits(cache: Path) -> None:
    from kilonet.data.dataset import load_dataset

    entry, digits = DATASETS["digits"], load_dataset("digits")
    counts = (len(digits.train_labels), len(digits.test_labels))
    assert counts == (entry.train_count, entry.test_count)


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
