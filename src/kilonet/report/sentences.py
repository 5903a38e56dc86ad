"""The sentences of a report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kilonet.evaluation.metrics import Metrics
from kilonet.report.facts import EvaluatedRun
from kilonet.report.formatting import duration, enumeration, percent, percent_number, plural
from kilonet.report.image_grids import MAX_MISTAKES


def answer(run: EvaluatedRun) -> str:
    """Return the result in one sentence."""
    m = run.metrics
    return (
        f"{percent(m.accuracy)} of {m.total:,} {run.dataset.title} test images are classified "
        f"correctly (Wilson 95 % interval {interval(m)}) with {run.parameters:,} parameters "
        f"after {plural(len(run.outcome.history), 'epoch')}, {duration(run.seconds)}."
    )


def interval(metrics: Metrics) -> str:
    """Write the accuracy's Wilson interval: ``99.26–99.56 %``."""
    return f"{percent_number(metrics.wilson_low)}–{percent(metrics.wilson_high)}"


def curves(run: EvaluatedRun) -> str:
    """Describe the training curves, for readers who cannot see them."""
    first, last = run.outcome.history[0], run.outcome.history[-1]
    text = f"Loss and accuracy over {plural(len(run.outcome.history), 'epoch')}: " + enumeration(
        [
            f"{name} accuracy from {percent(first[column])} to {percent(last[column])}"
            for name, column in (("train", "train_accuracy"), ("validation", "validation_accuracy"))
            if first.get(column) is not None and last.get(column) is not None
        ]
    )
    return f"{text}, best in epoch {run.outcome.best_epoch}." if run.validated else f"{text}."


def confusions(metrics: Metrics, classes: Sequence[str], limit: int = 3) -> str:
    """Return how many images were misclassified, and the most frequent confusions."""
    wrong = metrics.total - metrics.correct
    if not wrong:
        return f"All {metrics.total:,} images were classified correctly."
    counts = np.asarray(metrics.confusion)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[:limit]
    pairs = [divmod(int(place), len(classes)) for place in order]
    confused = [
        f"{classes[true]} as {classes[predicted]} ({plural(int(counts[true, predicted]), 'time')})"
        for true, predicted in pairs
        if counts[true, predicted]
    ]
    return (
        f"{wrong:,} of {metrics.total:,} images were misclassified, most often "
        f"{enumeration(confused)}."
    )


def mistakes(run: EvaluatedRun) -> str:
    """Describe the grid of mistakes."""
    wrong = run.metrics.total - run.metrics.correct
    if not wrong:
        return "There are no mistakes to show."
    shown = (
        "Every mistake"
        if wrong <= MAX_MISTAKES
        else f"The {MAX_MISTAKES} most confident of {wrong:,} mistakes"
    )
    return (
        f"{shown}, the most confident first. The caption of each: true class → predicted class, "
        "the confidence of the network, and the index of the image in the test set."
    )


def checks(run: EvaluatedRun) -> str:
    """Return how many of the recipe's constraints are met."""
    checks = run.checks
    failed = sum(not check.passed for check in checks)
    if not checks:
        return "The recipe sets no constraints."
    if failed:
        return f"{failed} of {plural(len(checks), 'constraint')} not met."
    return f"{plural(len(checks), 'constraint')}, all met."
