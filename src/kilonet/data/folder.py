"""Folders of pictures as data sets: their files by class and split, and their description."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kilonet.data.registry import spec
from kilonet.data.specs import DEFAULT_FORMAT, INK_FORMAT, DataInfo, DatasetSpec, ImageFormat
from kilonet.errors import DataError, UsageError
from kilonet.files import expand
from kilonet.recipe.schema import FOLDER, Data

_FORMATS = "png jpg jpeg jfif gif webp bmp tif tiff ppm pgm pbm pnm"
SUFFIXES = frozenset(f".{name}" for name in _FORMATS.split())
_TRAINING = ("train", "training")
_SPLITS = {
    **dict.fromkeys((*_TRAINING, "val", "valid", "validation"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_MACOS = "__MACOSX"  # the folder that macOS adds to archives
_LAYOUT = "Put the pictures of each class into a sub-folder with the class's name."


@dataclass(frozen=True)
class PictureFile:
    """A picture: its path in the folder, its class, and its split: "train", "test" or ""."""

    name: str
    label: int
    split: str


@dataclass(frozen=True)
class PictureFolder:
    """A folder's classes, pictures sorted by name, and files that are not pictures."""

    path: Path
    classes: tuple[str, ...]
    pictures: tuple[PictureFile, ...]
    others: tuple[str, ...]

    @property
    def has_test(self) -> bool:
        """Whether there is a test folder; if not, a test split is taken from all pictures."""
        return any(picture.split == "test" for picture in self.pictures)


def is_folder(name: str) -> bool:
    """Return whether the name of a data set is a folder of pictures."""
    return name.startswith(FOLDER)


def folder_path(name: str) -> Path:
    """Return the absolute path of the folder in a data set's name."""
    return expand(name.removeprefix(FOLDER)).absolute()


def short_name(name: str) -> str:
    """Return the name of a data set; a folder without its parent folders."""
    return f"{FOLDER}{folder_path(name).name}" if is_folder(name) else name


def list_folder(path: Path) -> PictureFolder:
    """List the pictures in ``path``: ``CLASS/…``, or ``train/CLASS/…`` and ``test/CLASS/…``.

    Upper case, ``training``, ``testing`` and ``val`` are recognised as well. Ignores hidden files,
    links in a circle and ``__MACOSX``; includes sub-folders of a class.
    """
    if not path.is_dir():
        problem = "is not a folder" if path.exists() else "does not exist"
        raise UsageError(f"{path} {problem}. Name a folder of pictures as folder:PATH. {_LAYOUT}")
    try:
        return _listed(path)
    except OSError as error:
        raise DataError(
            f"{error.filename or path} cannot be read: {error.strerror or error}. Make it "
            "readable, or move it out of the folder."
        ) from error


def _listed(path: Path) -> PictureFolder:
    splits = _split_folders(path)
    train = path / next(iter(splits), "")
    classes = _class_names(train)
    for name, split in splits.items():
        if split == "test" or path / name != train:
            _check_split(path / name, train, classes)
    pictures, others = [], []
    for folder, split in (splits or {"": ""}).items():
        for label, name in enumerate(classes):
            for file in _files(path / folder / name, (path.resolve(),)):
                relative = file.relative_to(path).as_posix()
                if file.suffix.lower() in SUFFIXES:
                    pictures.append(PictureFile(relative, label, split))
                else:
                    others.append(relative)
    folder_content = PictureFolder(path, classes, tuple(pictures), tuple(others))
    _check_classes(folder_content, train)
    return folder_content


def _split_folders(path: Path) -> dict[str, str]:
    """Return the split of each sub-folder that is one, training first; empty if all are classes.

    A folder of validation pictures counts as training: validation images are drawn from these.
    """
    names = [entry.name for entry in _visible(path) if entry.is_dir()]
    found = {name: _SPLITS[name.lower()] for name in names if name.lower() in _SPLITS}
    training = [name for name in found if name.lower() in _TRAINING]
    if not training or ("train" not in training and len(found) < len(names)):
        return {}
    first = "train" if "train" in training else training[0]
    return {first: "train"} | {name: split for name, split in found.items() if name != first}


def _class_names(path: Path) -> tuple[str, ...]:
    return tuple(sorted(folder.name for folder in _visible(path) if folder.is_dir()))


def _files(folder: Path, parents: tuple[Path, ...]) -> Iterator[Path]:
    """Yield the files below ``folder``; links back to one of ``parents`` are not followed."""
    real = folder.resolve()
    if folder.is_dir() and real not in parents:
        for entry in _visible(folder):
            yield from _files(entry, (*parents, real)) if entry.is_dir() else [entry]


def _visible(folder: Path) -> list[Path]:
    return sorted(
        entry
        for entry in folder.iterdir()
        if not entry.name.startswith(".") and entry.name != _MACOS
    )


def _check_classes(folder: PictureFolder, where: Path) -> None:
    if not folder.classes:
        raise DataError(f"{where} has no sub-folders. {_LAYOUT}")
    present = {picture.label for picture in folder.pictures if picture.split != "test"}
    if not present:
        raise DataError(f"{where} has no pictures ({', '.join(sorted(SUFFIXES))}). {_LAYOUT}")
    if len(folder.classes) == 1:
        raise DataError(
            f'{where} has one class, "{folder.classes[0]}"; a classifier needs two. {_LAYOUT}'
        )
    for label, name in enumerate(folder.classes):
        if label not in present:
            raise DataError(
                f"{where / name} has no pictures, but each sub-folder is a class. "
                "Put pictures in, or remove it."
            )


def _check_split(folder: Path, train: Path, classes: tuple[str, ...]) -> None:
    for name in _class_names(folder):
        if name not in classes:
            raise DataError(
                f'{folder / name}: there is no class "{name}" in {train}. Rename or remove it.'
            )


def image_format(data: Data) -> ImageFormat:
    """Return the format that a recipe's folder of pictures is scaled to.

    Some pictures are read if the recipe does not say how they are prepared.
    """
    from kilonet.data.read_folder import shows_ink  # reading needs the names in this module

    default, unset = DEFAULT_FORMAT, (data.side, data.colour, data.preparation) == (None,) * 3
    if not is_folder(data.name):
        return default
    if data.preparation == "ink" or (unset and shows_ink(list_folder(folder_path(data.name)))):
        return INK_FORMAT
    return ImageFormat(
        data.side if data.side is not None else default.side,
        data.colour if data.colour is not None else default.colour,
    )


def dataset_spec(data: Data) -> DatasetSpec:
    """Return the description of a recipe's data set, without reading all of a folder's pictures.

    Raises:
        UsageError: the data set or the folder does not exist.
        DataError: the folder does not contain classes of pictures.
    """
    if not is_folder(data.name):
        return spec(data.name)
    folder, scaled = list_folder(folder_path(data.name)), image_format(data)
    tests = sum(picture.split == "test" for picture in folder.pictures)
    return DatasetSpec(
        name=short_name(data.name),
        title=f"the pictures in {folder.path.name}",
        train_count=len(folder.pictures) - tests,
        test_count=tests,
        mean=None,
        std=None,
        classes=folder.classes,
        licence="your own",
        homepage="",
        folder=folder.path.name,
        shape=scaled.shape,
        preparation=scaled.preparation,
    )


def resolved_data(data: Data) -> Data:
    """Return ``data`` as a run stores it: a folder with its absolute path and its format."""
    if not is_folder(data.name):
        return data
    scaled = image_format(data)
    name = f"{FOLDER}{folder_path(data.name)}"
    return data.model_copy(
        update={
            "name": name,
            "side": scaled.side,
            "colour": scaled.colour,
            "preparation": scaled.preparation,
        }
    )


def data_like(name: str, info: DataInfo) -> Data:
    """Return the section for the data set ``name``; a folder's pictures prepared as in ``info``."""
    if not is_folder(name):
        return Data(name=name)
    channels, side, _ = info.shape
    return Data(name=name, side=side, colour=channels == 3, preparation=info.preparation)
