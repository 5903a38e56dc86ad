"""What a folder of pictures holds, and what is wrong with it, before anything is trained on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kilonet.data.read_folder import Decoded, read_folder
from kilonet.data.similar import Pixels, near_duplicates
from kilonet.data.specs import Look
from kilonet.progress import Reporter

LOOK = Look(side=64, colour=True)
"""What pictures are compared at."""

IMBALANCED = 3.0  # the largest class has as many times the pictures of the smallest


@dataclass(frozen=True)
class ClassCount:
    """How many readable pictures a class has."""

    name: str
    train: int
    test: int


@dataclass(frozen=True)
class FolderReport:
    """What was found. Names are paths within the folder."""

    path: Path
    fingerprint: str
    split_off: bool
    """Whether the test part was split off, as there is no test folder."""
    classes: tuple[ClassCount, ...]
    unreadable: tuple[tuple[str, str], ...]
    """Names of files, and why."""
    others: tuple[str, ...]
    """Files that are no pictures by their names."""
    copies: tuple[tuple[str, str], ...]
    """Pairs of a training and a test picture whose files are the same."""
    near_copies: tuple[tuple[str, str], ...]
    """Pairs of a training and a test picture that look the same."""
    contradictions: tuple[tuple[str, ...], ...]
    """Equal files in several classes."""

    @property
    def imbalance(self) -> float:
        """How many times the training pictures of the smallest class the largest has."""
        counts = [entry.train for entry in self.classes]
        return max(counts) / max(1, min(counts))

    def to_json(self) -> dict[str, Any]:
        """Return all of it, ready for ``json.dump``."""
        return {**asdict(self), "path": str(self.path), "imbalance": round(self.imbalance, 3)}


def inspect_folder(path: Path, reporter: Reporter | None = None) -> FolderReport:
    """Return what is in the folder ``path``; ``reporter`` gets the progress.

    Raises:
        UsageError, DataError: it cannot be trained on at all (see ``read_folder``).
    """
    content = read_folder(path, LOOK, reporter)
    copies, near = _copies(content.train, content.test)
    return FolderReport(
        path=path,
        fingerprint=content.fingerprint,
        split_off=content.split_off,
        classes=tuple(
            ClassCount(name, _count(content.train, label), _count(content.test, label))
            for label, name in enumerate(content.classes)
        ),
        unreadable=tuple((one.entry.name, one.error or "") for one in content.unreadable),
        others=content.others,
        copies=copies,
        near_copies=near,
        contradictions=_contradictions([*content.train, *content.test]),
    )


def _count(part: Sequence[Decoded], label: int) -> int:
    return sum(one.entry.label == label for one in part)


Pairs = tuple[tuple[str, str], ...]


def _copies(train: Sequence[Decoded], test: Sequence[Decoded]) -> tuple[Pairs, Pairs]:
    """Return the pairs of equal files, and those that only look equal."""
    exact: list[tuple[str, str]] = []
    near: list[tuple[str, str]] = []
    for i, j in near_duplicates(_pixels(train), _pixels(test)):
        pair = (train[i].entry.name, test[j].entry.name)
        (exact if train[i].digest == test[j].digest else near).append(pair)
    return tuple(exact), tuple(near)


def _pixels(part: Sequence[Decoded]) -> Pixels:
    return np.stack([one.pixels for one in part if one.pixels is not None])


def _contradictions(all_of_them: Sequence[Decoded]) -> tuple[tuple[str, ...], ...]:
    alike: dict[str, list[Decoded]] = defaultdict(list)
    for one in all_of_them:
        alike[one.digest].append(one)
    groups = [group for group in alike.values() if len({one.entry.label for one in group}) > 1]
    return tuple(tuple(sorted(one.entry.name for one in group)) for group in groups)
