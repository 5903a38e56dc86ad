"""Read a folder of pictures into tensors: decode, scale and hash every file."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kilonet.content import MAX_PICTURE, read_content
from kilonet.data.folder import PictureFile, PictureFolder, list_folder
from kilonet.data.specs import ImageFormat, Preparation
from kilonet.data.split import stratified_split
from kilonet.errors import DataError
from kilonet.preprocessing import PictureError, letterbox, prepare
from kilonet.preprocessing.decode import decode_grey
from kilonet.progress import Reporter, track
from kilonet.recipe.schema import FOLDER

TEST_FRACTION = 0.2
INK_SAMPLE, INK_SHARE = 20, 0.8  # pictures that are tried, and those that must show one character
MAX_NAMES = 3  # in a message; the report has all
# The split is part of the data set, so its seed is not a setting.
_SPLIT_SEED = 20

Tensors: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor]
"""Training images, training labels, test images, test labels."""


@dataclass(frozen=True, eq=False)
class DecodedPicture:
    """A picture's scaled pixels, uint8 (C, H, W), or its error; and its file's SHA-256."""

    file: PictureFile
    pixels: NDArray[np.uint8] | None
    digest: str
    error: str | None = None


@dataclass(frozen=True, eq=False)
class FolderContent:
    """The content of a folder; ``train`` and ``test`` are the splits of all readable pictures.

    ``fingerprint`` depends only on the names and bytes of the files.
    """

    path: Path
    classes: tuple[str, ...]
    train: tuple[DecodedPicture, ...]
    test: tuple[DecodedPicture, ...]
    unreadable: tuple[DecodedPicture, ...]
    others: tuple[str, ...]
    split_off: bool
    fingerprint: str
    preparation: Preparation

    @property
    def name(self) -> str:
        """The folder's name as a data set, without its parent folders."""
        return f"{FOLDER}{self.path.name}"

    @property
    def title(self) -> str:
        """The folder's title in sentences."""
        return f"the pictures in {self.path.name}"

    @property
    def tensors(self) -> Tensors:
        """Images, uint8 (N, C, H, W), and labels, int64 (N,), of both splits."""
        return *_stacked(self.train), *_stacked(self.test)

    @property
    def note(self) -> str | None:
        """What a user should know before training: files that are left out."""
        if not self.unreadable:
            return None
        names = ", ".join(one.file.name for one in self.unreadable[:MAX_NAMES])
        more = len(self.unreadable) - MAX_NAMES
        rest = f" and {more} more" if more > 0 else ""
        verb = "file is" if len(self.unreadable) == 1 else "files are"
        if self.preparation == "ink":
            return (
                f"{len(self.unreadable)} {verb} left out, as no single digit or letter can be cut "
                f"out: {names}{rest}. data.preparation=fit takes whole pictures."
            )
        return (
            f"{len(self.unreadable)} {verb} unreadable and left out: {names}{rest}. "
            f"kilonet data report {FOLDER}{self.path} says why."
        )


def read_folder(
    path: Path, image_format: ImageFormat, reporter: Reporter | None = None
) -> FolderContent:
    """Read the pictures in ``path``, scaled to ``image_format``; ``reporter`` gets the progress.

    Without a test folder, a stratified fifth becomes the test split. It depends only on the names
    and number of the pictures.

    Raises:
        UsageError: the folder does not exist.
        DataError: there are not two classes of readable pictures, or too few for a test split.
    """
    folder = list_folder(path)
    decoded = _decode_all(folder, image_format, reporter or Reporter())
    readable = [one for one in decoded if one.pixels is not None]
    _check_readable(folder, readable)
    train, test = _splits(readable, folder.has_test)
    if not test:
        raise DataError(
            f"{path} has {len(readable)} pictures, too few for a test split. Add more, "
            "or make folders train and test."
        )
    return FolderContent(
        path,
        folder.classes,
        tuple(train),
        tuple(test),
        tuple(one for one in decoded if one.pixels is None),
        folder.others,
        not folder.has_test,
        _fingerprint(decoded),
        image_format.preparation,
    )


def _decode_all(
    folder: PictureFolder, image_format: ImageFormat, reporter: Reporter
) -> list[DecodedPicture]:
    def decode(file: PictureFile) -> DecodedPicture:
        return _decoded(folder.path, file, image_format)

    total = len(folder.pictures)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = pool.map(decode, folder.pictures)
        return list(track(done, "reading pictures", total, reporter))


def _decoded(folder: Path, file: PictureFile, image_format: ImageFormat) -> DecodedPicture:
    try:
        content = read_content(folder / file.name, MAX_PICTURE)
        digest = hashlib.sha256(content).hexdigest()
        return DecodedPicture(file, _pixels(content, image_format), digest)
    except OSError as error:
        return DecodedPicture(file, None, "", error.strerror or str(error))
    except PictureError as error:
        reason = str(error).partition(": ")[2] or str(error)
        return DecodedPicture(file, None, digest, reason.partition(". ")[0])


def _pixels(content: bytes, image_format: ImageFormat) -> NDArray[np.uint8]:
    if image_format.preparation == "ink":
        return prepare(content)[None]
    return letterbox(content, image_format.shape)


def shows_ink(folder: PictureFolder) -> bool:
    """Return whether a folder's pictures are drawn digits or letters, judged by some of them.

    Its classes are single characters, and nearly all pictures show one in ink on paper.
    """
    if not all(len(name) == 1 and name.isalnum() for name in folder.classes):
        return False
    step = math.ceil(len(folder.pictures) / INK_SAMPLE)
    sample = [folder.path / file.name for file in folder.pictures[::step]]
    return sum(map(_is_ink_on_paper, sample)) >= INK_SHARE * len(sample)


def _is_ink_on_paper(path: Path) -> bool:
    """Return whether a picture has two levels, paper and less ink, and one character in it."""
    try:
        prepare(path)
        grey = decode_grey(path).grey.astype(np.int16)
    except (PictureError, OSError):
        return False
    contrast = np.abs(grey - np.median(grey))
    contrast = contrast / max(contrast.max(), 1)
    is_between, is_ink = (contrast > 0.3) & (contrast < 0.6), contrast >= 0.6
    return bool(is_between.mean() < 0.12 and is_ink.mean() < 0.35)


def _check_readable(folder: PictureFolder, readable: Iterable[DecodedPicture]) -> None:
    present = {one.file.label for one in readable if one.file.split != "test"}
    for label, name in enumerate(folder.classes):
        if label not in present:
            raise DataError(
                f'{folder.path}: no picture of the class "{name}" can be read. '
                f"kilonet data report {FOLDER}{folder.path} says why."
            )


def _splits(
    readable: list[DecodedPicture], has_test: bool
) -> tuple[list[DecodedPicture], list[DecodedPicture]]:
    if has_test:
        test = [one for one in readable if one.file.split == "test"]
        return [one for one in readable if one.file.split != "test"], test
    labels = torch.tensor([one.file.label for one in readable])
    kept, held = stratified_split(labels, TEST_FRACTION, _SPLIT_SEED)
    return [readable[i] for i in kept.tolist()], [readable[i] for i in held.tolist()]


def _fingerprint(decoded: Iterable[DecodedPicture]) -> str:
    digest = hashlib.sha256()
    for one in decoded:
        digest.update(f"{one.file.name}\0{one.digest}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


def _stacked(split: tuple[DecodedPicture, ...]) -> tuple[Tensor, Tensor]:
    images = np.stack([one.pixels for one in split if one.pixels is not None])
    labels = [one.file.label for one in split]
    return torch.from_numpy(images), torch.tensor(labels, dtype=torch.int64)
