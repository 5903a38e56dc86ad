"""Metrics of a model's probabilities, given the true labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from kilonet.errors import RunError, UsageError
from kilonet.evaluation.statistics import wilson

CALIBRATION_BINS = 15


@dataclass(frozen=True)
class ClassMetrics:
    """Metrics of one class. Ratios are fractions of 1, and 0 where they would divide by 0."""

    name: str
    precision: float
    """Share of the images predicted as this class that belong to it."""
    recall: float
    """Share of the images of this class that were predicted as it."""
    f1: float
    """Harmonic mean of precision and recall."""
    support: int
    """Images of this class."""


@dataclass(frozen=True)
class Metrics:
    """Metrics of a model on labelled images. Ratios are fractions of 1."""

    accuracy: float
    correct: int
    total: int
    wilson_low: float
    """Lower end of the accuracy's Wilson 95 % interval."""
    wilson_high: float
    """Upper end of the accuracy's Wilson 95 % interval."""
    loss: float
    """Mean cross-entropy in nats."""
    calibration_error: float
    """Expected calibration error, 15 equal-width bins."""
    per_class: tuple[ClassMetrics, ...]
    confusion: list[list[int]]
    """Counts; a row per true class, a column per predicted class."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as dicts, lists and numbers for ``json.dump``."""
        values = asdict(self)
        return {**values, "per_class": list(values["per_class"])}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Metrics:
        """Return the metrics that ``to_json`` wrote.

        Raises RunError if a field is missing or unknown.
        """
        try:
            per_class = tuple(ClassMetrics(**row) for row in values["per_class"])
            return cls(**{**values, "per_class": per_class})
        except (KeyError, TypeError) as error:
            raise RunError(
                f"The stored test metrics are not of this format ({error}). Evaluate the run again."
            ) from error


def measure(
    probabilities: npt.NDArray[np.floating[Any]],
    labels: npt.NDArray[np.integer[Any]],
    classes: Sequence[str],
) -> Metrics:
    """Return the metrics of ``probabilities`` (N, K), rows summing to 1, against ``labels`` (N,).

    ``classes`` names the K classes in the order of the columns. The predicted class is the most
    probable one; of several equals, the first.

    Raises UsageError if K is not the number of classes (a model for other data), and ValueError if
    the arrays' shapes do not match, they are empty, or a label is out of range.
    """
    _check(probabilities, labels, classes)
    p = np.asarray(probabilities, dtype=np.float64)
    predicted = p.argmax(axis=1)
    correct = int((predicted == labels).sum())
    low, high = wilson(correct, len(labels))
    return Metrics(
        accuracy=correct / len(labels),
        correct=correct,
        total=len(labels),
        wilson_low=low,
        wilson_high=high,
        loss=cross_entropy(p, labels),
        calibration_error=expected_calibration_error(p, labels),
        per_class=_per_class(labels, predicted, classes),
        confusion=confusion_matrix(labels, predicted, labels=range(len(classes))).tolist(),
    )


def cross_entropy(
    probabilities: npt.NDArray[np.float64], labels: npt.NDArray[np.integer[Any]]
) -> float:
    """Return the mean of −ln p(true class) in nats.

    A probability that underflowed to 0 counts as the smallest normal double (708 nats), so that
    one image does not make the mean infinite.
    """
    of_label = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(of_label, np.finfo(np.float64).tiny)).mean())


def expected_calibration_error(
    probabilities: npt.NDArray[np.float64],
    labels: npt.NDArray[np.integer[Any]],
    bins: int = CALIBRATION_BINS,
) -> float:
    """Return the expected calibration error: the mean gap between confidence and accuracy.

    The range (0, 1] of the highest probability is divided into ``bins`` of equal width, each open
    on the left. Each bin's |accuracy − mean confidence| is weighted by its share of the images.

    Source: C. Guo et al., "On calibration of modern neural networks", ICML 2017, section 2.
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    index = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    # A bin's |mean − mean| times its share of N is |sum − sum| / N, which is safe for empty bins.
    gaps = np.bincount(index, weights=correct - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def _per_class(
    labels: npt.NDArray[np.integer[Any]],
    predicted: npt.NDArray[np.integer[Any]],
    classes: Sequence[str],
) -> tuple[ClassMetrics, ...]:
    columns = precision_recall_fscore_support(
        labels, predicted, labels=range(len(classes)), zero_division=0.0
    )
    return tuple(
        ClassMetrics(name, float(precision), float(recall), float(f1), int(support))
        for name, precision, recall, f1, support in zip(classes, *columns, strict=True)
    )


def _check(
    probabilities: npt.NDArray[np.floating[Any]],
    labels: npt.NDArray[np.integer[Any]],
    classes: Sequence[str],
) -> None:
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):
        raise ValueError(
            f"expected probabilities (N, K) and labels (N,) with N ≥ 1, "
            f"not {probabilities.shape} and {labels.shape}"
        )
    if probabilities.shape[1] != len(classes):
        raise UsageError(
            f"The model has {probabilities.shape[1]} classes, but the data has {len(classes)}. "
            "Evaluate it on the data that it was trained for."
        )
    if labels.min() < 0 or labels.max() >= len(classes):
        raise ValueError(f"labels must lie in 0..{len(classes) - 1}")
