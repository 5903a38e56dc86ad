"""How well distorted digits are read: accuracy by kind and strength, with and without preparation.

Two ways lead from the same distorted 28×28 pixels to an answer. "Network alone" gives them to the
network as they are. "Read as a picture" prepares them first, as every picture from outside is (see
``kilonet.preprocessing``); what the preparation refuses counts as misread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from kilonet.errors import UsageError
from kilonet.evaluation.distortions import KINDS, SEED, Kind, distort
from kilonet.evaluation.intervals import t_interval
from kilonet.preprocessing import PictureError, prepare

Images: TypeAlias = npt.NDArray[np.uint8]
Labels: TypeAlias = npt.NDArray[np.integer[Any]]
Right: TypeAlias = npt.NDArray[np.bool_]
Classify: TypeAlias = Callable[[Images], Labels]
Place: TypeAlias = tuple[Kind | None, float]
"""A kind and a strength; no kind is the images as they are."""

SIDE = 28  # pixels of what the preparation makes


@dataclass(frozen=True)
class Cell:
    """How many of the images were read right at one strength of one kind of distortion."""

    kind: str | None
    """None: undistorted."""
    strength: float
    alone: int
    """Right by the network alone."""
    read: int
    """Right when read as pictures."""
    refused: int
    """Not read as pictures: the preparation found no single digit."""


@dataclass(frozen=True)
class Share:
    """A share of images as a fraction of 1, and the half-width of its 95 % interval."""

    mean: float
    half_width: float


@dataclass(frozen=True)
class Robustness:
    """What was measured over the grid of ``distortions``.

    ``alone`` and ``read`` are means over the grid: each kind counts alike, and within a kind each
    strength. Their intervals say where the mean over all images like these lies.
    """

    images: int
    undistorted: Cell
    cells: tuple[Cell, ...]
    alone: Share
    read: Share
    distortion_seed: int = SEED

    def to_json(self) -> dict[str, Any]:
        """Return the same as plain dicts, lists and numbers, ready for ``json.dump``."""
        values = asdict(self)
        return {**values, "cells": list(values["cells"])}

    def of(self, kind: str) -> list[Cell]:
        """Return the cells of one kind, by strength."""
        return [cell for cell in self.cells if cell.kind == kind]


def measure_robustness(
    classify: Classify,
    images: Images,
    labels: Labels,
    *,
    kinds: Sequence[Kind] = KINDS,
    watched: Callable[[Sequence[Place]], Iterable[Place]] = iter,
) -> Robustness:
    """Return how ``classify`` fares on ``images`` (uint8, (N, 28, 28), bright ink on 0) distorted.

    ``classify`` takes at least one such image and returns their classes, integers (N,); ``labels``
    are the true ones. ``watched`` is handed the places of the grid and hands each back, in order,
    as a progress bar does.

    Raises:
        UsageError: there are fewer than two images, or of another size than 28×28.
    """
    if len(images) < 2 or images.shape[1:] != (SIDE, SIDE):
        raise UsageError(
            "Robustness is measured on two or more grey images of 28×28 pixels, not on an array "
            f"{images.shape}. Name more images, or a run on data of that kind."
        )
    places: list[Place] = [(None, 0.0)]
    places += [(kind, strength) for kind in kinds for strength in kind.strengths]
    cells, rights = [], []
    for kind, strength in watched(places):
        distorted = distort(kind, strength, images) if kind else images
        right, refused = _judged(classify, distorted, labels)
        alone, read = (int(count) for count in right.sum(axis=1))
        cells.append(Cell(kind.name if kind else None, strength, alone, read, refused))
        rights.append(right)
    alone_share, read_share = _shares(np.stack(rights[1:]), kinds)
    return Robustness(len(images), cells[0], tuple(cells[1:]), alone_share, read_share)


def _judged(classify: Classify, images: Images, labels: Labels) -> tuple[Right, int]:
    """Return which images are right, alone and read, (2, N), and how many were refused."""
    prepared: dict[int, Images] = {}
    for place, image in enumerate(images):
        with suppress(PictureError):
            prepared[place] = prepare(image)
    read = np.zeros(len(images), dtype=bool)
    if prepared:
        found = list(prepared)
        read[found] = classify(np.stack([*prepared.values()])) == labels[found]
    return np.stack([classify(images) == labels, read]), len(images) - len(prepared)


def _shares(rights: Right, kinds: Sequence[Kind]) -> Iterator[Share]:
    """Yield the means over the grid, alone and read, of what is right: (places, 2, N)."""
    weights = [1 / len(kind.strengths) for kind in kinds for _ in kind.strengths]
    for scores in np.average(rights, axis=0, weights=weights):
        yield Share(*t_interval(scores.tolist()))
