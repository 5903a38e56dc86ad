"""A folder of pictures as tensors: every file decoded, scaled, and hashed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kilonet.data.folder import Entry, Listing, list_folder
from kilonet.data.read import Tensors
from kilonet.data.specs import Look
from kilonet.data.split import stratified_split
from kilonet.errors import DataError
from kilonet.preprocessing import PictureError, letterbox
from kilonet.progress import Reporter, Silent, track
from kilonet.recipe.schema import FOLDER

TEST_FRACTION = 0.2
SHOWN = 3  # names in a sentence; the report has all
# The split is part of what the folder is as a data set, so its seed is no setting.
_SEED = 20


@dataclass(frozen=True, eq=False)
class Decoded:
    """A file of a folder: its scaled pixels, uint8 (C, H, W), or why it has none; its digest."""

    entry: Entry
    pixels: NDArray[np.uint8] | None
    digest: str
    error: str | None = None


@dataclass(frozen=True, eq=False)
class FolderContent:
    """What was read of a folder. ``train`` and ``test`` are disjoint parts of all readable files.

    ``fingerprint`` depends on every file's name and bytes, and on nothing else.
    """

    path: Path
    classes: tuple[str, ...]
    train: tuple[Decoded, ...]
    test: tuple[Decoded, ...]
    unreadable: tuple[Decoded, ...]
    others: tuple[str, ...]
    split_off: bool
    fingerprint: str

    @property
    def name(self) -> str:
        """The folder as the name of a data set, without where it is."""
        return f"{FOLDER}{self.path.name}"

    @property
    def title(self) -> str:
        """What it is called in sentences."""
        return f"the pictures in {self.path.name}"

    @property
    def tensors(self) -> Tensors:
        """Images, uint8 (N, C, H, W), and labels, int64 (N,), of both parts."""
        return *_stacked(self.train), *_stacked(self.test)

    @property
    def note(self) -> str | None:
        """What to know before training on it: files that are left out."""
        if not self.unreadable:
            return None
        names = ", ".join(one.entry.name for one in self.unreadable[:SHOWN])
        more = len(self.unreadable) - SHOWN
        rest = f" and {more} more" if more > 0 else ""
        verb = "file is" if len(self.unreadable) == 1 else "files are"
        return (
            f"{len(self.unreadable)} {verb} unreadable and left out: {names}{rest}. "
            f"kilonet data report {FOLDER}{self.path} says why."
        )


def read_folder(path: Path, look: Look, reporter: Reporter | None = None) -> FolderContent:
    """Return the pictures in ``path`` brought to ``look``; ``reporter`` gets the progress.

    Without a test folder a stratified fifth, which depends on names and their number alone, becomes
    the test part.

    Raises:
        UsageError: there is no such folder.
        DataError: it holds no two classes of readable pictures, or too few for a test part.
    """
    listing = list_folder(path)
    decoded = _decode_all(listing, look, reporter or Silent())
    readable = [one for one in decoded if one.pixels is not None]
    _check_readable(listing, readable)
    train, test = _parts(readable, listing.has_test)
    if not test:
        raise DataError(
            f"{path} has {len(readable)} pictures, too few to split a test part off. Add some, "
            "or make folders train and test."
        )
    return FolderContent(
        path,
        listing.classes,
        tuple(train),
        tuple(test),
        tuple(one for one in decoded if one.pixels is None),
        listing.others,
        not listing.has_test,
        _fingerprint(decoded),
    )


def _decode_all(listing: Listing, look: Look, reporter: Reporter) -> list[Decoded]:
    def decode(entry: Entry) -> Decoded:
        return _decoded(listing.path, entry, look)

    total = len(listing.entries)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = pool.map(decode, listing.entries)
        return list(track(done, "reading pictures", total, reporter))


def _decoded(folder: Path, entry: Entry, look: Look) -> Decoded:
    try:
        content = (folder / entry.name).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        return Decoded(entry, letterbox(content, look.shape), digest)
    except OSError as error:
        return Decoded(entry, None, "", error.strerror or str(error))
    except PictureError as error:
        reason = str(error).partition(": ")[2] or str(error)
        return Decoded(entry, None, digest, reason.partition(". ")[0])


def _check_readable(listing: Listing, readable: Iterable[Decoded]) -> None:
    present = {one.entry.label for one in readable if one.entry.part != "test"}
    for label, name in enumerate(listing.classes):
        if label not in present:
            raise DataError(
                f'{listing.path}: not one picture of the class "{name}" can be read. '
                f"kilonet data report {FOLDER}{listing.path} says why."
            )


def _parts(readable: list[Decoded], has_test: bool) -> tuple[list[Decoded], list[Decoded]]:
    if has_test:
        test = [one for one in readable if one.entry.part == "test"]
        return [one for one in readable if one.entry.part != "test"], test
    labels = torch.tensor([one.entry.label for one in readable])
    kept, held = stratified_split(labels, TEST_FRACTION, _SEED)
    return [readable[i] for i in kept.tolist()], [readable[i] for i in held.tolist()]


def _fingerprint(decoded: Iterable[Decoded]) -> str:
    digest = hashlib.sha256()
    for one in decoded:
        digest.update(f"{one.entry.name}\0{one.digest}\n".encode())
    return digest.hexdigest()[:16]


def _stacked(part: tuple[Decoded, ...]) -> tuple[Tensor, Tensor]:
    images = np.stack([one.pixels for one in part if one.pixels is not None])
    labels = [one.entry.label for one in part]
    return torch.from_numpy(images), torch.tensor(labels, dtype=torch.int64)
