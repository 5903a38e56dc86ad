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

    ``indices`` are the examples whose label is likely wrong, the likeliest first: (D,).
    ``predicted`` (N,) is the class that each example confidently is, its label where none is.
    ``joint`` (K, K) estimates how many examples have the label of the row and are of the column.
    """

    indices: Indices
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
    are of another class than their label stand in the off-diagonal of the confident joint, and are
    ranked by how much likelier than the label that class is (the normalised margin).
    """
    thresholds = _thresholds(probabilities, labels)
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    best = confident.argmax(axis=1)
    predicted = np.where(confident.max(axis=1) >= 0, best, labels).astype(np.int64)
    rows = np.arange(len(labels))
    margins = probabilities[rows, predicted] - probabilities[rows, labels]
    doubtful = np.flatnonzero((predicted != labels) & (margins > 0))
    ranked = doubtful[np.argsort(-margins[doubtful], kind="stable")]
    return Doubts(ranked, predicted, _calibrated(predicted, labels, probabilities.shape[1]))


def _thresholds(probabilities: Floats, labels: Labels) -> Floats:
    """Return (K,): the mean probability of each class where it is the label; 1 if it never is."""
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    own = probabilities[np.arange(len(labels)), labels]
    sums = np.bincount(labels, weights=own, minlength=probabilities.shape[1])
    return np.where(counts > 0, sums / np.maximum(counts, 1), 1.0)


def _calibrated(predicted: npt.NDArray[np.int64], labels: Labels, classes: int) -> Floats:
    """Return the confident joint with each row brought to the number of its labels (eq. 3)."""
    joint = np.zeros((classes, classes))
    np.add.at(joint, (labels, predicted), 1)
    counts = np.bincount(labels, minlength=classes)
    return np.asarray(joint / np.maximum(joint.sum(axis=1, keepdims=True), 1) * counts[:, None])
