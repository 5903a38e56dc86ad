"""Where a data set's files are: a named folder, the environment, or the user's cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kilonet import paths
from kilonet.data.registry import DatasetSpec, spec

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
            files = {role: _present(folder, f.filename) for role, f in entry.files.items()}
            complete = {role: path for role, path in files.items() if path is not None}
            if len(complete) == len(entry.files):
                return complete
    return None


def is_available(name: str, data_dir: Path | None = None) -> bool:
    """Say whether the data set can be loaded without a download.

    Raises ``UsageError`` for an unknown name.
    """
    entry = spec(name)
    return not entry.files or locate(entry, data_dir) is not None


def _layouts(entry: DatasetSpec, directory: Path) -> Iterator[Path]:
    yield directory / entry.folder
    yield directory / entry.torchvision_folder / "raw"
    yield directory


def _present(folder: Path, filename: str) -> Path | None:
    for name in (filename, filename.removesuffix(".gz")):
        if (folder / name).is_file():
            return folder / name
    return None
