"""Metrics, against scikit-learn and values worked out by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from sklearn import metrics as sk

from kilonet.errors import RunError, UsageError
from kilonet.evaluation.metrics import Metrics, expected_calibration_error, measure
from kilonet.evaluation.statistics import wilson

CLASSES = ("a", "b", "c")
P = np.array(
    [[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.5, 0.25, 0.25], [0.2, 0.2, 0.6], [0.1, 0.2, 0.7]]
)
TRUE = np.array([0, 1, 1, 2, 0])  # predicted: 0, 1, 0, 2, 2


def random_case(seed: int, n: int = 400, k: int = 10) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, n)
    logits = rng.normal(size=(n, k)) + 2.5 * np.eye(k)[labels]
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True), labels


def test_by_hand() -> None:
    m = measure(P, TRUE, CLASSES)
    assert (m.correct, m.total, m.accuracy) == (3, 5, 0.6)
    assert (m.wilson_low, m.wilson_high) == wilson(3, 5)
    assert m.loss == pytest.approx(-np.log([0.8, 0.6, 0.25, 0.6, 0.1]).mean())
    assert m.confusion == [[1, 0, 1], [1, 1, 0], [0, 0, 1]]
    a, b, c = m.per_class
    assert (a.name, a.precision, a.recall, a.f1, a.support) == ("a", 0.5, 0.5, 0.5, 2)
    assert (b.precision, b.recall, b.support) == (1.0, 0.5, 2)
    assert b.f1 == pytest.approx(2 / 3)
    assert (c.precision, c.recall, c.support) == (0.5, 1.0, 1)


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_scikit_learn(seed: int) -> None:
    p, labels = random_case(seed)
    names = [str(i) for i in range(10)]
    m = measure(p, labels, names)
    predicted = p.argmax(1)
    assert m.accuracy == sk.accuracy_score(labels, predicted)
    assert m.loss == pytest.approx(sk.log_loss(labels, p, labels=range(10)))
    assert m.confusion == sk.confusion_matrix(labels, predicted).tolist()
    table = sk.classification_report(labels, predicted, target_names=names, output_dict=True)
    for row in m.per_class:
        assert row.precision == pytest.approx(table[row.name]["precision"])
        assert row.recall == pytest.approx(table[row.name]["recall"])
        assert row.f1 == pytest.approx(table[row.name]["f1-score"])
        assert row.support == table[row.name]["support"]


def test_rows_of_the_confusion_matrix_are_true_classes() -> None:
    m = measure(np.array([[0.1, 0.9, 0.0]] * 4), np.zeros(4, int), CLASSES)
    assert m.confusion == [[0, 4, 0], [0, 0, 0], [0, 0, 0]]


def test_classes_that_never_occur_count_as_zero_without_a_warning() -> None:
    m = measure(np.array([[0.9, 0.1, 0.0]]), np.array([0]), CLASSES)
    assert [(c.precision, c.recall, c.f1, c.support) for c in m.per_class] == [
        (1.0, 1.0, 1.0, 1),
        (0.0, 0.0, 0.0, 0),
        (0.0, 0.0, 0.0, 0),
    ]


def calibration_in_a_loop(p: np.ndarray, labels: np.ndarray, bins: int) -> float:
    """Return the definition of Guo et al. spelled out bin by bin."""
    confidence, hit = p.max(1), p.argmax(1) == labels
    error = 0.0
    for m in range(1, bins + 1):
        inside = (confidence > (m - 1) / bins) & (confidence <= m / bins)
        if inside.any():
            gap = abs(hit[inside].mean() - confidence[inside].mean())
            error += inside.mean() * gap
    return error


@pytest.mark.parametrize("seed", range(3))
def test_calibration_error_follows_its_definition(seed: int) -> None:
    p, labels = random_case(seed)
    expected = calibration_in_a_loop(p, labels, 15)
    assert measure(p, labels, [str(i) for i in range(10)]).calibration_error == pytest.approx(
        expected
    )
    assert expected > 0.01


def test_calibration_error_by_hand() -> None:
    # Two images at 0.9 of which one is right, two at 0.6 that are both right:
    # half weighs |0.5 − 0.9|, half |1 − 0.6|.
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]])
    assert expected_calibration_error(p, np.array([0, 1, 0, 1])) == pytest.approx(0.4)


def test_calibration_bins_include_their_upper_edge() -> None:
    # With 15 bins, 0.59 and 0.6 = 9/15 share one, so their gaps of +0.59 and −0.4 partly cancel.
    p = np.array([[0.59, 0.41], [0.6, 0.4]])
    assert expected_calibration_error(p, np.array([1, 0])) == pytest.approx(0.19 / 2)


def test_certain_and_correct_is_perfectly_calibrated() -> None:
    m = measure(np.eye(3), np.array([0, 1, 2]), CLASSES)
    assert (m.loss, m.calibration_error, m.accuracy) == (0.0, 0.0, 1.0)
    assert m.wilson_low < 1


def test_a_probability_of_0_has_a_finite_loss() -> None:
    m = measure(np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]), np.array([0, 1]), CLASSES)
    assert math.isfinite(m.loss) and m.loss == pytest.approx(708.396 / 2, abs=1e-2)


def test_float32_is_measured_in_double_precision() -> None:
    p, labels = random_case(0)
    names = [str(i) for i in range(10)]
    single = measure(p.astype(np.float32), labels.astype(np.uint8), names)
    assert single.loss == pytest.approx(measure(p, labels, names).loss, rel=1e-6)


def test_json_has_plain_values() -> None:
    m = measure(P, TRUE, CLASSES)
    read = json.loads(json.dumps(m.to_json(), allow_nan=False))
    assert read == m.to_json()
    assert Metrics.from_json(read) == m
    assert read["confusion"] == m.confusion
    assert read["per_class"][1]["name"] == "b"
    assert set(read) == {
        "accuracy", "correct", "total", "wilson_low", "wilson_high", "loss",
        "calibration_error", "per_class", "confusion",
    }  # fmt: skip


@pytest.mark.parametrize("damage", ["missing", "unknown", "class"])
def test_json_of_another_format_is_refused(damage: str) -> None:
    values = measure(P, TRUE, CLASSES).to_json()
    if damage == "missing":
        del values["loss"]
    elif damage == "unknown":
        values["losss"] = 1.0
    else:
        values["per_class"] = [{"name": "a"}]
    with pytest.raises(RunError, match="Evaluate the run again"):
        Metrics.from_json(values)


def test_a_model_for_other_data_is_named_as_the_cause() -> None:
    with pytest.raises(UsageError, match="The model has 3 classes, but the data has 2"):
        measure(P, TRUE, ("a", "b"))


@pytest.mark.parametrize(
    ("p", "labels"),
    [
        (P, TRUE[:4]),
        (P[:, 0], TRUE),
        (P[:0], TRUE[:0]),
        (P, np.array([0, 1, 2, 3, 0])),
        (P, np.array([0, 1, 2, -1, 0])),
    ],
)
def test_arrays_of_different_lengths_are_refused(p: np.ndarray, labels: np.ndarray) -> None:
    with pytest.raises(ValueError):
        measure(p, labels, CLASSES)
