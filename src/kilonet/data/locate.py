"""Where a data set's files are: a named folder, the environment, or the user's cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kilonet.data.folder import folder_path, is_folder
from kilonet.data.members import Location, Member
from kilonet.data.registry import DatasetSpec, spec
from kilonet.data.specs import TEST_LABELS, FileSpec
from kilonet.data.verify import belongs_elsewhere
from kilonet.files import data_cache, data_dir_from_environment

Files = dict[str, Location]


def search_path(data_dir: Path | None) -> tuple[Path, ...]:
    """Return the directories to look in, in order.

    First ``data_dir`` or, where it is None, the one that ``KILONET_DATA`` names; then the cache.
    """
    named = data_dir or data_dir_from_environment()
    cache = data_cache()
    return (cache,) if named is None else (named.expanduser(), cache)


def locate(entry: DatasetSpec, data_dir: Path | None) -> Files | None:
    """Return where each of the set's files is, by role, or None unless all are there.

    Each directory of ``search_path`` may hold them in our layout (``mnist/…``), in torchvision's
    (``MNIST/raw/…``) or directly; compressed or not, or in the archive they are published in.
    """
    for directory in search_path(data_dir):
        for folder in _layouts(entry, directory):
            files = _files_in(folder, entry)
            if len(files) < len(entry.files):
                continue
            # A folder that bears the set's name is taken at its word, and fails if it lies.
            own_names = folder != directory or entry.archive is not None
            if own_names or not belongs_elsewhere(files[TEST_LABELS], entry):
                return files
    return None


def folder_of(files: Files) -> Path:
    """Return the folder that all ``files`` of a set are in."""
    return next(iter(files.values())).parent


def is_available(name: str, data_dir: Path | None = None) -> bool:
    """Say whether the data set can be loaded without a download.

    Raises ``UsageError`` for an unknown name.
    """
    if is_folder(name):
        return folder_path(name).is_dir()
    entry = spec(name)
    return not entry.files or locate(entry, data_dir) is not None


def incomplete(entry: DatasetSpec, data_dir: Path | None) -> str:
    """Return a sentence on the first folder that has some of the set's files but not all."""
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
    found = {role: _present(folder, file) for role, file in entry.files.items()}
    files: Files = {role: path for role, path in found.items() if path is not None}
    if len(files) < len(entry.files) and entry.archive is not None:
        archive = folder / entry.archive.filename
        if archive.is_file():
            return {role: Member(archive, file.filename) for role, file in entry.files.items()}
    return files


def _present(folder: Path, file: FileSpec) -> Path | None:
    return next((folder / name for name in file.names if (folder / name).is_file()), None)
