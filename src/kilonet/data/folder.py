"""Folders of pictures: which files there are, of which class, and for which part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kilonet.errors import DataError, UsageError
from kilonet.recipe.schema import FOLDER

_FORMATS = "png jpg jpeg jfif gif webp bmp tif tiff ppm pgm pbm pnm"
SUFFIXES = frozenset(f".{name}" for name in _FORMATS.split())
_LAYOUT = "Put the pictures of each class into a sub-folder of its name."


@dataclass(frozen=True)
class Entry:
    """A file of a folder: its path, from the folder on, its class, and "train", "test" or ""."""

    name: str
    label: int
    part: str


@dataclass(frozen=True)
class Listing:
    """What a folder has: class names, pictures by name, and files that are no pictures."""

    path: Path
    classes: tuple[str, ...]
    entries: tuple[Entry, ...]
    others: tuple[str, ...]

    @property
    def has_test(self) -> bool:
        """Whether there is a test folder; otherwise the test part is split off."""
        return any(entry.part == "test" for entry in self.entries)


def is_folder(name: str) -> bool:
    """Say whether the name of a data set means a folder of pictures."""
    return name.startswith(FOLDER)


def folder_path(name: str) -> Path:
    """Return the folder, absolute, that the name of a data set means."""
    return Path(name.removeprefix(FOLDER)).expanduser().absolute()


def short_name(name: str) -> str:
    """Return the name of a data set without the folders that a folder is in."""
    return f"{FOLDER}{folder_path(name).name}" if is_folder(name) else name


def list_folder(path: Path) -> Listing:
    """Return what is in ``path``: ``CLASS/…`` or ``train/CLASS/…`` and ``test/CLASS/…``.

    Hidden files are passed over; a class's own sub-folders are looked into.

    Raises:
        UsageError: there is no such folder.
        DataError: it cannot be read, or has not two classes with a picture each.
    """
    if not path.is_dir():
        what = "is no folder" if path.exists() else "does not exist"
        raise UsageError(f"{path} {what}. Name a folder of pictures as folder:PATH. {_LAYOUT}")
    try:
        return _listed(path)
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror or error}). Check its permissions."
        ) from error


def _listed(path: Path) -> Listing:
    parts = ("train", "test") if (path / "train").is_dir() else ("",)
    classes = _class_names(path / parts[0])
    files = [
        (file, label, part)
        for part in parts
        for label, name in enumerate(classes)
        for file in _files(path / part / name)
    ]
    if "test" in parts:
        _check_test(path, classes)
    entries, others = [], []
    for file, label, part in files:
        name = file.relative_to(path).as_posix()
        if file.suffix.lower() in SUFFIXES:
            entries.append(Entry(name, label, part))
        else:
            others.append(name)
    listing = Listing(path, classes, tuple(entries), tuple(others))
    _check_classes(listing, path / parts[0])
    return listing


def _class_names(path: Path) -> tuple[str, ...]:
    return tuple(sorted(folder.name for folder in _visible(path) if folder.is_dir()))


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        for entry in _visible(folder):
            yield from _files(entry) if entry.is_dir() else [entry]


def _visible(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _check_classes(listing: Listing, where: Path) -> None:
    if not listing.classes:
        raise DataError(f"{where} has no sub-folders. {_LAYOUT}")
    present = {entry.label for entry in listing.entries if entry.part != "test"}
    if not present:
        raise DataError(f"{where} has no pictures ({', '.join(sorted(SUFFIXES))}). {_LAYOUT}")
    if len(listing.classes) == 1:
        raise DataError(
            f'{where} has one class, "{listing.classes[0]}"; telling apart takes two. {_LAYOUT}'
        )
    for label, name in enumerate(listing.classes):
        if label not in present:
            raise DataError(
                f"{where / name} has no pictures, but each sub-folder is a class. "
                "Put pictures in, or remove it."
            )


def _check_test(path: Path, classes: tuple[str, ...]) -> None:
    if (path / "test").is_dir():
        for name in _class_names(path / "test"):
            if name not in classes:
                raise DataError(
                    f'{path / "test" / name}: there is no class "{name}" in {path / "train"}. '
                    "Rename or remove it."
                )
