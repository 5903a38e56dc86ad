"""Confident learning: find labels that are probably wrong, from out-of-sample predictions.

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
class LabelIssues:
    """Labels that are probably wrong.

    ``ranking`` has the indices of the examples whose predicted class is not their label, the most
    suspicious first. The first ``count`` of them are label issues by confident learning.
    ``predicted`` (N,) is the class that each example seems to have. ``joint`` (K, K) estimates how
    many examples have the row's label and the column's true class.
    """

    ranking: Indices
    count: int
    predicted: npt.NDArray[np.int64]
    joint: Floats

    @property
    def estimated_errors(self) -> float:
        """Estimated number of wrong labels."""
        return float(self.joint.sum() - np.trace(self.joint))


def find_label_issues(probabilities: Floats, labels: Labels) -> LabelIssues:
    """Find label issues in ``labels`` (N,) with out-of-sample ``probabilities`` (N, K).

    A class is confident about an example if its probability reaches the class's threshold: its mean
    probability over the examples with that label. The most probable confident class is taken as the
    true class. Examples whose true class is not their label are the off-diagonal of the confident
    joint. They are ranked by the difference between the probabilities of that class and the label
    (normalised margin). Misclassified examples without a confident class follow, ranked alike.
    """
    reached = np.where(probabilities >= _thresholds(probabilities, labels), probabilities, -1.0)
    is_confident = reached.max(axis=1) >= 0
    predicted = np.where(is_confident, reached.argmax(axis=1), probabilities.argmax(axis=1))
    rows = np.arange(len(labels))
    margins = probabilities[rows, predicted] - probabilities[rows, labels]
    wrong = (predicted != labels) & (margins > 0)
    confident, others = (
        _ranked(wrong & chosen, margins) for chosen in (is_confident, ~is_confident)
    )
    return LabelIssues(
        np.concatenate([confident, others]),
        len(confident),
        predicted.astype(np.int64),
        _joint(predicted[is_confident], labels[is_confident], labels, probabilities.shape[1]),
    )


def _ranked(chosen: npt.NDArray[np.bool_], margins: Floats) -> Indices:
    found = np.flatnonzero(chosen)
    return found[np.argsort(-margins[found], kind="stable")]


def _thresholds(probabilities: Floats, labels: Labels) -> Floats:
    """Return (K,): each class's mean probability over the examples with its label; 1 if none."""
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    own = probabilities[np.arange(len(labels)), labels]
    sums = np.bincount(labels, weights=own, minlength=probabilities.shape[1])
    return np.where(counts > 0, sums / np.maximum(counts, 1), 1.0)


def _joint(predicted: Indices, given: Labels, labels: Labels, classes: int) -> Floats:
    """Return the confident joint, each row scaled to the number of its labels (eq. 3)."""
    joint = np.zeros((classes, classes))
    np.add.at(joint, (given, predicted), 1)
    counts = np.bincount(labels, minlength=classes)
    return np.asarray(joint / np.maximum(joint.sum(axis=1, keepdims=True), 1) * counts[:, None])
