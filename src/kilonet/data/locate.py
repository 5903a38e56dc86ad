"""Find a data set's files on this machine, and check that they are the published ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kilonet.data.folder import folder_path, is_folder
from kilonet.data.formats import (
    ArchiveMember,
    Bytes,
    Location,
    damaged,
    idx_header,
    read_idx_labels,
)
from kilonet.data.registry import DATASETS, spec
from kilonet.data.specs import TEST_LABELS, DatasetSpec, FileSpec
from kilonet.errors import DataError
from kilonet.files import data_cache, data_dir_from_environment, expand
from kilonet.recipe.schema import MEMORY

Files = dict[str, Location]


def search_path(data_dir: str | Path | None) -> tuple[Path, ...]:
    """Return the directories to search: ``data_dir`` or else ``KILONET_DATA``, then the cache."""
    named = expand(data_dir) if data_dir is not None else data_dir_from_environment()
    return tuple(directory for directory in (named, data_cache()) if directory is not None)


def locate(entry: DatasetSpec, data_dir: str | Path | None) -> Files | None:
    """Return the location of each of the set's files, by role; None unless all are present.

    Each directory of ``search_path`` may contain the files in Kilonet's layout (``mnist/…``), in
    torchvision's (``MNIST/raw/…``) or directly; compressed or not, or in the published archive.
    """
    for directory in search_path(data_dir):
        for folder in _layouts(entry, directory):
            files = _files_in(folder, entry)
            if len(files) < len(entry.files):
                continue
            # A folder with the set's name is trusted here; wrong files in it are an error later.
            own_names = folder != directory or entry.archive is not None
            if own_names or not belongs_elsewhere(files[TEST_LABELS], entry):
                return files
    return None


def folder_of(files: Files) -> Path:
    """Return the folder of a set's ``files``."""
    return next(iter(files.values())).parent


def is_available(name: str, data_dir: str | Path | None = None) -> bool:
    """Return whether the data set can be loaded without a download.

    Raises:
        UsageError: the name is unknown.
    """
    if is_folder(name):
        return folder_path(name).is_dir()
    if name.startswith(MEMORY):
        return False
    entry = spec(name)
    return not entry.files or locate(entry, data_dir) is not None


def incomplete(entry: DatasetSpec, data_dir: str | Path | None) -> str:
    """Return a sentence about the first folder with some but not all of the set's files."""
    for directory in search_path(data_dir):
        for folder in _layouts(entry, directory):
            files = _files_in(folder, entry)
            if 0 < len(files) < len(entry.files):
                lacking = [f.filename for role, f in entry.files.items() if role not in files]
                return f" {folder} lacks {' and '.join(lacking)}."
    return ""


def _layouts(entry: DatasetSpec, directory: Path) -> Iterator[Path]:
    yield directory / entry.folder
    if entry.torchvision_folder:
        yield directory / entry.torchvision_folder / "raw"
    yield directory


def _files_in(folder: Path, entry: DatasetSpec) -> Files:
    present = {role: _path_of(folder, file) for role, file in entry.files.items()}
    files: Files = {role: path for role, path in present.items() if path is not None}
    if len(files) < len(entry.files) and entry.archive is not None:
        archive = folder / entry.archive.filename
        if archive.is_file():
            return {
                role: ArchiveMember(archive, file.filename) for role, file in entry.files.items()
            }
    return files


def _path_of(folder: Path, file: FileSpec) -> Path | None:
    return next((folder / name for name in file.names if (folder / name).is_file()), None)


def source_of(entry: DatasetSpec, data_dir: str | Path | None = None) -> str | None:
    """Return where the set is on this machine, None if nowhere; reads no images."""
    if not entry.files:
        return "scikit-learn"
    files = locate(entry, data_dir)
    return None if files is None else str(folder_of(files))


def check_published(path: Location, values: Bytes, entry: DatasetSpec, role: str) -> None:
    """Check that ``values``, read from ``path``, are the set's published file for ``role``.

    Without a published checksum, checks the number of items and that the file is not another set's.

    Raises:
        DataError: they are not.
    """
    check_count(path, len(values), entry, role)
    _check_digest(path, _sha256(values), entry, role)


def check_count(path: Location, found: int, entry: DatasetSpec, role: str) -> None:
    """Raise DataError unless ``path`` has the set's number of items for ``role``."""
    count = entry.train_count if role.startswith("train") else entry.test_count
    if found != count:
        raise damaged(path, f"it holds {found:,} items; {entry.title} has {count:,} in this file")


def check_bytes(path: Location, content: bytes, entry: DatasetSpec, role: str) -> None:
    """Raise DataError unless ``content``, the bytes of ``path``, are the published ones."""
    _check_digest(path, hashlib.sha256(content).hexdigest(), entry, role)


def _check_digest(path: Location, digest: str, entry: DatasetSpec, role: str) -> None:
    expected = entry.files[role].sha256
    if digest == expected:
        return
    owner = _owner(digest)
    if owner is not None:
        raise damaged(
            path, f"it is a file of {owner}; expected {entry.title}'s {_description(role)}"
        )
    if expected is not None:
        raise damaged(
            path,
            f"its content has the SHA-256 {digest[:16]}…; {entry.title}'s published "
            f"{_description(role)} have {expected[:16]}…",
        )


def belongs_elsewhere(test_labels: Location, entry: DatasetSpec) -> bool:
    """Return whether this label file is another set's: all sets use the same file names."""
    try:
        owner = _owner(_sha256(read_idx_labels(test_labels)))
    except DataError:
        return False  # reading the set reports it
    return owner not in (None, entry.title)


def _sha256(values: Bytes) -> str:
    digest = hashlib.sha256(idx_header(values.shape))
    digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def _owner(digest: str) -> str | None:
    """Return the title of the set that contains a file with this digest."""
    for entry in DATASETS.values():
        if any(file.sha256 == digest for file in entry.files.values()):
            return entry.title
    return None


def _description(role: str) -> str:
    return role.replace("_", " ").replace("train", "training")
