"""Where a data set's files are: a named folder, the environment, or the user's cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kilonet import paths
from kilonet.data.registry import TEST_LABELS, DatasetSpec, FileSpec, spec
from kilonet.data.verify import belongs_elsewhere

Files = dict[str, Path]


def search_path(data_dir: Path | None) -> tuple[Path, ...]:
    """Return the directories to look in, in order.

    First ``data_dir`` or, where it is None, the one that ``KILONET_DATA`` names; then the cache.
    """
    named = data_dir or paths.data_dir_from_environment()
    cache = paths.data_cache()
    return (cache,) if named is None else (named.expanduser(), cache)


def locate(entry: DatasetSpec, data_dir: Path | None) -> Files | None:
    """Return the path of each of the set's files, by role, or None unless all four are there.

    Each directory of ``search_path`` may hold them in our layout (``mnist/…``), in torchvision's
    (``MNIST/raw/…``) or directly; compressed or not.
    """
    for directory in search_path(data_dir):
        for folder in _layouts(entry, directory):
            files = _files_in(folder, entry)
            if len(files) < len(entry.files):
                continue
            # A folder that bears the set's name is taken at its word, and fails if it lies.
            if folder != directory or not belongs_elsewhere(files[TEST_LABELS], entry):
                return files
    return None


def is_available(name: str, data_dir: Path | None = None) -> bool:
    """Say whether the data set can be loaded without a download.

    Raises ``UsageError`` for an unknown name.
    """
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
    yield directory / entry.torchvision_folder / "raw"
    yield directory


def _files_in(folder: Path, entry: DatasetSpec) -> Files:
    found = {role: _present(folder, file) for role, file in entry.files.items()}
    return {role: path for role, path in found.items() if path is not None}


def _present(folder: Path, file: FileSpec) -> Path | None:
    for name in (file.filename, file.unpacked_name):
        if (folder / name).is_file():
            return folder / name
    return None
