"""Confident learning finds changed labels, and none in correct data."""

from __future__ import annotations

import numpy as np

from kilonet.evaluation.confident_learning import find_label_issues


def separable(count: int = 300, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities that are right and sure, but not equally, and the true labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    rest = rng.uniform(0.01, 0.1, (count, classes))
    rest[np.arange(count), labels] = rng.uniform(0.8, 1.0, count)
    return rest / rest.sum(axis=1, keepdims=True), labels


def test_changed_labels_are_found_and_counted() -> None:
    probabilities, truth = separable()
    given = truth.copy()
    changed = np.arange(0, 300, 30)
    given[changed] = (truth[changed] + 1) % 3
    found = find_label_issues(probabilities, given)
    assert set(found.ranking[: found.count]) <= set(changed)
    assert set(found.ranking) == set(changed)
    assert (found.predicted[changed] == truth[changed]).all()
    margins = probabilities[found.ranking, truth[found.ranking]]
    margins = margins - probabilities[found.ranking, given[found.ranking]]
    assert (np.diff(margins[: found.count]) <= 0).all()
    assert found.joint.sum() == 300
    assert 3 <= found.estimated_errors <= 30


def test_correct_labels_are_not_reported() -> None:
    found = find_label_issues(*separable())
    assert found.count == 0 and not len(found.ranking) and found.estimated_errors == 0


def test_misclassified_examples_without_confidence_come_last() -> None:
    probabilities, labels = separable()
    other = (labels[:2] + 1) % 3
    probabilities[0] = probabilities[1] = 0.0
    probabilities[0, labels[0]], probabilities[0, other[0]] = 0.45, 0.55  # unsure
    probabilities[1, labels[1]], probabilities[1, other[1]] = 0.01, 0.99
    found = find_label_issues(probabilities, labels)
    assert found.ranking.tolist() == [1, 0] and found.count == 1


def test_a_class_without_examples() -> None:
    probabilities, labels = separable(classes=3)
    wide = np.hstack([probabilities, np.zeros((300, 1))])
    found = find_label_issues(wide, labels)
    assert found.count == 0 and found.joint.shape == (4, 4)
