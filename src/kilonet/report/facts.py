"""What the report of a run or a study says: the input of the renderers and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from kilonet.evaluation.metrics import Metrics
from kilonet.report.formatting import Table


@dataclass(frozen=True)
class ReportFacts:
    """The content of a run's report. Equal facts give an equal report."""

    title: str
    """Name of the run."""
    recipe_name: str
    """Name or path of the recipe the run started from."""
    recipe_text: str
    """The resolved recipe as TOML, which replays the run."""
    dataset_title: str
    """Title of the data set that was used: ``MNIST``."""
    dataset_name: str
    """Its key in a recipe: ``mnist``."""
    dataset_note: str | None
    """A sentence to put first, for example that another data set replaced MNIST."""
    parameters: int
    macs: int
    """Multiply-accumulates for one image."""
    activation_bytes: int
    """Peak activation memory for one image, in bytes."""
    layers: Sequence[Sequence[str | int]]
    """A row per layer: name, in, kernel, out, parameters, MACs."""
    history: Sequence[Mapping[str, Any]]
    """A row per epoch: ``epoch``, ``learning_rate``, ``train_loss``, ``train_accuracy``,
    ``seconds``, ``images_per_second``; where measured, ``validation_loss``,
    ``validation_accuracy`` and ``test_accuracy``. Accuracies are fractions of 1."""
    best_epoch: int
    """The epoch of the highest validation accuracy."""
    metrics: Metrics
    """Of the evaluated weights on the test set."""
    classes: Sequence[str]
    test_images: npt.NDArray[np.uint8]
    """(N, H, W) or (N, C, H, W)."""
    test_labels: npt.NDArray[np.integer[Any]]
    """(N,)."""
    probabilities: npt.NDArray[np.floating[Any]]
    """(N, K), of the evaluated weights on the test images."""
    environment: Mapping[str, str]
    """Versions, hardware and settings, in the order to print them."""
    checks: Sequence[tuple[str, bool, str]]
    """A row per constraint: the requirement, whether it is met, the measured value."""
    seconds_total: float
    """Training time, from the start of the first epoch."""
    stopped_because: str
    """Why training ended: ``all 4 epochs done``."""
    weights_evaluated: Literal["best", "last"]
    targets: Sequence[float] = ()
    """Accuracies to mark in the curves, as fractions of 1."""


@dataclass(frozen=True)
class Curve:
    """A cell's validation accuracies by epoch, a list a seed, as fractions."""

    label: str
    runs: Sequence[Sequence[float]]


@dataclass(frozen=True)
class StudyFacts:
    """The content of a study's report."""

    title: str
    question: str
    """What was varied, with how many seeds."""
    answers: Sequence[str]
    """The results, a sentence each."""
    tables: Sequence[tuple[str, str, Table]]
    """Heading, caption and rows of each."""
    curves: Sequence[Curve]
    measurement: Sequence[str]
    """How it was measured, a paragraph each."""
    command: str
    """The command that repeats the study."""
