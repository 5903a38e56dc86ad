"""Confident learning: which labels are likely wrong, from predictions made without them.

Source: C. Northcutt, L. Jiang and I. Chuang, "Confident learning: estimating uncertainty in dataset
labels", Journal of Artificial Intelligence Research 70, 2021, sections 3 and 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.integer[Any]]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Doubts:
    """What is doubtful.

    ``ranking`` are the examples that are read as another class than their label, those whose label
    is likely wrong first: the first ``count`` of them, by confident learning. ``predicted`` (N,) is
    the class that each example seems to be. ``joint`` (K, K) estimates how many examples have the
    label of the row and are of the column.
    """

    ranking: Indices
    count: int
    predicted: npt.NDArray[np.int64]
    joint: Floats

    @property
    def estimated_errors(self) -> float:
        """How many labels are wrong by the estimate."""
        return float(self.joint.sum() - np.trace(self.joint))


def find_doubts(probabilities: Floats, labels: Labels) -> Doubts:
    """Return the doubtful labels, given out-of-sample ``probabilities`` (N, K) and ``labels`` (N,).

    A class is confident of an example where its probability reaches the class's mean over the
    examples that bear its label; the likeliest confident class is what the example is. Those that
    are of another class than their label stand in the off-diagonal of the confident joint. They are
    ranked by how much likelier than the label that class is (the normalised margin), and so are,
    after them, examples that are misread without such confidence.
    """
    reached = np.where(probabilities >= _thresholds(probabilities, labels), probabilities, -1.0)
    is_confident = reached.max(axis=1) >= 0
    predicted = np.where(is_confident, reached.argmax(axis=1), probabilities.argmax(axis=1))
    rows = np.arange(len(labels))
    margins = probabilities[rows, predicted] - probabilities[rows, labels]
    wrong = (predicted != labels) & (margins > 0)
    doubtful, misread = (
        _ranked(wrong & chosen, margins) for chosen in (is_confident, ~is_confident)
    )
    return Doubts(
        np.concatenate([doubtful, misread]),
        len(doubtful),
        predicted.astype(np.int64),
        _joint(predicted[is_confident], labels[is_confident], labels, probabilities.shape[1]),
    )


def _ranked(chosen: npt.NDArray[np.bool_], margins: Floats) -> Indices:
    found = np.flatnonzero(chosen)
    return found[np.argsort(-margins[found], kind="stable")]


def _thresholds(probabilities: Floats, labels: Labels) -> Floats:
    """Return (K,): the mean probability of each class where it is the label; 1 if it never is."""
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    own = probabilities[np.arange(len(labels)), labels]
    sums = np.bincount(labels, weights=own, minlength=probabilities.shape[1])
    return np.where(counts > 0, sums / np.maximum(counts, 1), 1.0)


def _joint(predicted: Indices, given: Labels, labels: Labels, classes: int) -> Floats:
    """Return the confident joint with each row brought to the number of its labels (eq. 3)."""
    joint = np.zeros((classes, classes))
    np.add.at(joint, (given, predicted), 1)
    counts = np.bincount(labels, minlength=classes)
    return np.asarray(joint / np.maximum(joint.sum(axis=1, keepdims=True), 1) * counts[:, None])
