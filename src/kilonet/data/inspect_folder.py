"""Inspect a folder of pictures before training: counts, unreadable files, duplicates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from kilonet.data.read_folder import DecodedPicture, read_folder
from kilonet.data.specs import ImageFormat
from kilonet.progress import Reporter

FORMAT = ImageFormat(side=64, colour=True)
"""The format in which pictures are compared."""

IMBALANCED = 3.0  # a larger ratio of the largest class to the smallest is reported

# Near-duplicates.
SIDE = 16
MAX_BITS = 40  # of 256 that may differ; in plain areas they are noise
MAX_DIFFERENCE = 12.0  # mean difference in grey levels of 255, without brightness
MIN_CORRELATION = 0.9  # of the pixels: thin lines on paper differ little on average
TILES = 8  # per side: copies are similar in each of the 64
MAX_TILE_DIFFERENCE = 32.0
_FLAT = 1.0  # grey levels: a smaller standard deviation counts as 0
_ROWS = 1024  # compared at a time

Pixels: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ClassCount:
    """Numbers of readable pictures of a class."""

    name: str
    train: int
    test: int


@dataclass(frozen=True)
class FolderReport:
    """The result of an inspection. Names are paths in the folder."""

    path: Path
    fingerprint: str
    split_off: bool
    """Whether the test split was taken from all pictures: there is no test folder."""
    classes: tuple[ClassCount, ...]
    unreadable: tuple[tuple[str, str], ...]
    """Names and errors of files."""
    others: tuple[str, ...]
    """Files that are not pictures by their names."""
    copies: tuple[tuple[str, str], ...]
    """Pairs of a training and a test picture with equal files."""
    near_copies: tuple[tuple[str, str], ...]
    """Pairs of a training and a test picture that are nearly equal."""
    contradictions: tuple[tuple[str, ...], ...]
    """Groups of equal files in different classes."""

    @property
    def imbalance(self) -> float:
        """The ratio of training pictures of the largest class to those of the smallest."""
        counts = [entry.train for entry in self.classes]
        return max(counts) / max(1, min(counts))

    def to_json(self) -> dict[str, Any]:
        """Return all fields for ``json.dump``."""
        return {**asdict(self), "path": str(self.path), "imbalance": round(self.imbalance, 3)}


def inspect_folder(path: Path, reporter: Reporter | None = None) -> FolderReport:
    """Return what is in the folder ``path``; ``reporter`` gets the progress.

    Raises:
        UsageError, DataError: the folder cannot be used for training (see ``read_folder``).
    """
    content = read_folder(path, FORMAT, reporter)
    copies, near = _copies(content.train, content.test)
    return FolderReport(
        path=path,
        fingerprint=content.fingerprint,
        split_off=content.split_off,
        classes=tuple(
            ClassCount(name, _count(content.train, label), _count(content.test, label))
            for label, name in enumerate(content.classes)
        ),
        unreadable=tuple((one.file.name, one.error or "") for one in content.unreadable),
        others=content.others,
        copies=copies,
        near_copies=near,
        contradictions=_contradictions([*content.train, *content.test]),
    )


def _count(split: Sequence[DecodedPicture], label: int) -> int:
    return sum(one.file.label == label for one in split)


Pairs = tuple[tuple[str, str], ...]


def _copies(train: Sequence[DecodedPicture], test: Sequence[DecodedPicture]) -> tuple[Pairs, Pairs]:
    """Return the pairs of equal files, and the pairs that are nearly equal."""
    exact: list[tuple[str, str]] = []
    near: list[tuple[str, str]] = []
    for i, j in near_duplicates(_pixels(train), _pixels(test)):
        pair = (train[i].file.name, test[j].file.name)
        (exact if train[i].digest == test[j].digest else near).append(pair)
    return tuple(exact), tuple(near)


def _pixels(split: Sequence[DecodedPicture]) -> Pixels:
    return np.stack([one.pixels for one in split if one.pixels is not None])


def _contradictions(pictures: Sequence[DecodedPicture]) -> tuple[tuple[str, ...], ...]:
    by_digest: dict[str, list[DecodedPicture]] = defaultdict(list)
    for one in pictures:
        by_digest[one.digest].append(one)
    groups = [group for group in by_digest.values() if len({one.file.label for one in group}) > 1]
    return tuple(tuple(sorted(one.file.name for one in group)) for group in groups)


def difference_hash(pixels: Pixels) -> npt.NDArray[np.bool_]:
    """Return the dHash of a picture, uint8 (C, H, W): 256 bits.

    A bit says whether a pixel of the grey 16×17 version is darker than its right neighbour.
    """
    grey = pixels.mean(axis=0, dtype=np.float32).round().astype(np.uint8)
    small = Image.fromarray(grey).resize((SIDE + 1, SIDE), Image.Resampling.BOX)
    values = np.asarray(small).astype(np.int16)
    return (values[:, 1:] > values[:, :-1]).ravel()


def near_duplicates(first: Pixels, second: Pixels) -> list[tuple[int, int]]:
    """Return the pairs (i, j) of almost equal pictures: uint8, (N, C, H, W) and (M, C, H, W).

    A perceptual hash finds candidates; a comparison of the pixels decides. The hash (dHash;
    N. Krawetz, "Kind of Like That", 2013) hardly changes with size, compression and brightness.
    Drawings on much blank paper, and pictures in the same black borders, have similar hashes too;
    therefore the comparison, in colour, of the whole picture and of each tile. Height and width
    must be multiples of ``TILES``.
    """
    if not len(first) or not len(second):
        return []
    signs = [_signs(pictures) for pictures in (first, second)]
    pairs = []
    for start in range(0, len(first), _ROWS):
        agreement = signs[0][start : start + _ROWS] @ signs[1].T
        close = np.argwhere(agreement >= SIDE * SIDE - 2 * MAX_BITS)
        pairs += [(start + int(i), int(j)) for i, j in close]
    return [(i, j) for i, j in pairs if _similar(first[i], second[j])]


def _signs(pictures: Pixels) -> npt.NDArray[np.float32]:
    """Return (N, 256) of ±1; the product of two rows is 256 − 2 × the number of different bits."""
    bits = np.stack([difference_hash(picture) for picture in pictures])
    return np.where(bits, np.float32(1), np.float32(-1))


def _similar(one: Pixels, other: Pixels) -> bool:
    first, second = (pixels - pixels.mean(dtype=np.float64) for pixels in (one, other))
    difference = first - second
    if np.abs(difference).mean() > MAX_DIFFERENCE:
        return False
    if _largest_tile(difference) > MAX_TILE_DIFFERENCE:
        return False
    spread = first.std() * second.std()
    flat = max(first.std(), second.std()) < _FLAT
    return bool(flat or (first * second).mean() >= MIN_CORRELATION * spread)


def _largest_tile(difference: npt.NDArray[np.float64]) -> float:
    """Return the largest absolute mean difference of a tile and channel of (C, H, W)."""
    channels, height, width = difference.shape
    tiles = difference.reshape(channels, TILES, height // TILES, TILES, width // TILES)
    return float(np.abs(tiles.mean(axis=(2, 4))).max())
