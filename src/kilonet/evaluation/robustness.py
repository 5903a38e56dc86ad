"""Robustness: accuracy on distorted digits by kind and strength, with and without preprocessing.

The same distorted 28×28 pixels are classified twice. "Network alone" gives them to the network
unchanged. "Read as a picture" preprocesses them first, like every picture from a user (see
``kilonet.preprocessing``); an image that preprocessing refuses counts as misclassified.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from kilonet.errors import UsageError
from kilonet.evaluation.distortions import DISTORTIONS, SEED, Distortion, distort
from kilonet.evaluation.statistics import t_interval
from kilonet.preprocessing import PictureError, prepare

Images: TypeAlias = npt.NDArray[np.uint8]
Labels: TypeAlias = npt.NDArray[np.integer[Any]]
Correct: TypeAlias = npt.NDArray[np.bool_]
Classify: TypeAlias = Callable[[Images], Labels]
Condition: TypeAlias = tuple[Distortion | None, float]
"""A distortion and its strength; None: undistorted images."""

SIDE = 28  # pixels, the size that preprocessing produces


@dataclass(frozen=True)
class RobustnessCell:
    """Counts of correctly classified images for one strength of one kind of distortion."""

    kind: str | None
    """None: undistorted."""
    strength: float
    alone: int
    """Correct by the network alone."""
    read: int
    """Correct after preprocessing."""
    refused: int
    """Refused by preprocessing, which found no single digit."""


@dataclass(frozen=True)
class Estimate:
    """A mean accuracy as a fraction of 1, and the half-width of its 95 % interval."""

    mean: float
    half_width: float


@dataclass(frozen=True)
class Robustness:
    """Accuracies over the grid of ``distortions``.

    ``alone`` and ``read`` are means over the grid: every kind has the same weight, and so has every
    strength within a kind. Their intervals cover the mean over all images like these.
    """

    images: int
    undistorted: RobustnessCell
    cells: tuple[RobustnessCell, ...]
    alone: Estimate
    read: Estimate
    distortion_seed: int = SEED

    def to_json(self) -> dict[str, Any]:
        """Return the fields as dicts, lists and numbers for ``json.dump``."""
        values = asdict(self)
        return {**values, "cells": list(values["cells"])}

    def of(self, kind: str) -> list[RobustnessCell]:
        """Return the cells of one kind, by strength."""
        return [cell for cell in self.cells if cell.kind == kind]


def measure_robustness(
    classify: Classify,
    images: Images,
    labels: Labels,
    *,
    distortions: Sequence[Distortion] = DISTORTIONS,
    progress: Callable[[Sequence[Condition]], Iterable[Condition]] = iter,
) -> Robustness:
    """Measure the accuracy of ``classify`` on distorted images.

    ``images`` are uint8, (N, 28, 28), bright ink on 0. ``classify`` takes one or more such images
    and returns their classes, integers (N,); ``labels`` are the true classes. ``progress`` wraps
    the list of conditions and yields each in order, like a progress bar.
    """
    if len(images) < 2 or images.shape[1:] != (SIDE, SIDE):
        raise UsageError(
            "Robustness needs two or more grey images of 28×28 pixels, not an array of shape "
            f"{images.shape}. Use more images, or a run on such data."
        )
    conditions: list[Condition] = [(None, 0.0)]
    conditions += [(each, strength) for each in distortions for strength in each.strengths]
    cells, corrects = [], []
    for distortion, strength in progress(conditions):
        distorted = distort(distortion, strength, images) if distortion else images
        correct, refused = _classified(classify, distorted, labels)
        alone, read = (int(count) for count in correct.sum(axis=1))
        name = distortion.name if distortion else None
        cells.append(RobustnessCell(name, strength, alone, read, refused))
        corrects.append(correct)
    alone_mean, read_mean = _means(np.stack(corrects[1:]), distortions)
    return Robustness(len(images), cells[0], tuple(cells[1:]), alone_mean, read_mean)


def _classified(classify: Classify, images: Images, labels: Labels) -> tuple[Correct, int]:
    """Return which images are correct, (2, N): alone, preprocessed; and how many were refused."""
    prepared: dict[int, Images] = {}
    for index, image in enumerate(images):
        with suppress(PictureError):
            prepared[index] = prepare(image)
    read = np.zeros(len(images), dtype=bool)
    if prepared:
        indices = list(prepared)
        read[indices] = classify(np.stack([*prepared.values()])) == labels[indices]
    return np.stack([classify(images) == labels, read]), len(images) - len(prepared)


def _means(correct: Correct, distortions: Sequence[Distortion]) -> Iterator[Estimate]:
    """Yield the mean accuracy over the grid, alone and preprocessed, from (conditions, 2, N)."""
    weights = [1 / len(each.strengths) for each in distortions for _ in each.strengths]
    for scores in np.average(correct, axis=0, weights=weights):
        yield Estimate(*t_interval(scores.tolist()))
