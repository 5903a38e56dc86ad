"""What the report of a run or a study says: the input of the renderers and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from kilonet.data.dataset import Dataset
from kilonet.evaluation.metrics import Metrics
from kilonet.models.measure import (
    LayerRow,
    count_parameters,
    layer_kinds,
    layers,
    peak_activation_bytes,
    total_macs,
)
from kilonet.recipe.schema import Recipe
from kilonet.report.formatting import Table
from kilonet.runs.constraints import ConstraintCheck, MeasuredRun, check_constraints
from kilonet.training.fit import Outcome


@dataclass(frozen=True, eq=False)
class EvaluatedRun:
    """A run's network with its final weights, and its predictions on the test split.

    ``facts`` is the content of ``run.json``. ``probabilities`` is float64, (N, K). The same content
    always gives the same report.
    """

    name: str
    facts: Mapping[str, Any]
    recipe: Recipe
    model: nn.Module
    outcome: Outcome
    dataset: Dataset
    probabilities: npt.NDArray[np.float64]
    metrics: Metrics

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Whether the prediction for each test image is correct, (N,)."""
        labels = self.dataset.test_labels.numpy()
        correct: npt.NDArray[np.bool_] = self.probabilities.argmax(axis=1) == labels
        return correct

    @property
    def final_epoch(self) -> int:
        """The epoch after which the network had its final weights."""
        best = self.recipe.training.keep == "best"
        return self.outcome.best_epoch if best else len(self.outcome.history)

    @property
    def validated(self) -> bool:
        """Whether validation images were held out."""
        return any("validation_accuracy" in row for row in self.outcome.history)

    @property
    def seconds(self) -> float:
        """The training time, from the start of the first epoch."""
        return sum(row["seconds"] for row in self.outcome.history)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the images."""
        return (self.dataset.channels, *self.dataset.image_size)

    @cached_property
    def parameters(self) -> int:
        """The numbers that the deployed network stores."""
        return count_parameters(self.model)

    @cached_property
    def layers(self) -> list[LayerRow]:
        """The layers of the network, for one image."""
        return layers(self.model, self.shape)

    @cached_property
    def macs(self) -> int:
        """The multiply-accumulates for one image."""
        return total_macs(self.model, self.shape)

    @cached_property
    def activation_bytes(self) -> int:
        """The peak activation memory for one image."""
        return peak_activation_bytes(self.model, self.shape)

    @property
    def checks(self) -> list[ConstraintCheck]:
        """Whether the recipe's constraints are met."""
        epochs, accuracy = len(self.outcome.history), self.metrics.accuracy
        measured = MeasuredRun(self.parameters, epochs, accuracy, layer_kinds(self.model))
        return check_constraints(self.recipe.constraints, measured)


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
    failures: Mapping[str, str]
    """The runs whose training failed, with their messages."""
    command: str
    """The command that repeats the study."""
