"""Whether what was read is what its publishers published."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from kilonet.data.idx import idx_header, read_idx_labels
from kilonet.data.members import Location, damaged
from kilonet.data.registry import DATASETS, DatasetSpec
from kilonet.errors import DataError


def check_published(
    path: Location, values: NDArray[np.uint8], entry: DatasetSpec, role: str
) -> None:
    """Raise ``DataError`` unless ``values``, read from ``path``, are the set's file for ``role``.

    Where the registry knows no checksum of the decompressed bytes, the number of items is checked
    and that the file is not one of another set.
    """
    check_count(path, len(values), entry, role)
    _check_digest(path, _sha256(values), entry, role)


def check_count(path: Location, found: int, entry: DatasetSpec, role: str) -> None:
    """Raise ``DataError`` unless ``path`` has as many items as the set has for ``role``."""
    count = entry.train_count if role.startswith("train") else entry.test_count
    if found != count:
        raise damaged(path, f"it holds {found:,} items; {entry.title} has {count:,} in this file")


def check_bytes(path: Location, content: bytes, entry: DatasetSpec, role: str) -> None:
    """Raise ``DataError`` unless ``content``, the bytes of ``path``, are those published."""
    _check_digest(path, hashlib.sha256(content).hexdigest(), entry, role)


def _check_digest(path: Location, digest: str, entry: DatasetSpec, role: str) -> None:
    expected = entry.files[role].sha256
    if digest == expected:
        return
    owner = _owner(digest)
    if owner is not None:
        raise damaged(path, f"it is a file of {owner}; expected {entry.title}'s {_words(role)}")
    if expected is not None:
        raise damaged(
            path,
            f"its content has the SHA-256 {digest[:16]}…; {entry.title}'s published "
            f"{_words(role)} have {expected[:16]}…",
        )


def belongs_elsewhere(test_labels: Location, entry: DatasetSpec) -> bool:
    """Say whether this label file is another set's: the files of all sets have the same names."""
    try:
        owner = _owner(_sha256(read_idx_labels(test_labels)))
    except DataError:
        return False  # reported in full when the set is read
    return owner not in (None, entry.title)


def _sha256(values: NDArray[np.uint8]) -> str:
    digest = hashlib.sha256(idx_header(values.shape))
    digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def _owner(digest: str) -> str | None:
    """Return the title of the set that has a file with this digest."""
    for entry in DATASETS.values():
        if any(file.sha256 == digest for file in entry.files.values()):
            return entry.title
    return None


def _words(role: str) -> str:
    return role.replace("_", " ").replace("train", "training")
