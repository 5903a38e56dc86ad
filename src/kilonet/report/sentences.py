"""The sentences of a report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kilonet.evaluation.metrics import CALIBRATION_BINS, Metrics
from kilonet.report.facts import ReportFacts
from kilonet.report.formatting import duration, enumeration, percent, percent_number, plural, size
from kilonet.report.image_grids import MAX_MISTAKES


def answer(facts: ReportFacts) -> str:
    """Return the result in one sentence."""
    m = facts.metrics
    return (
        f"{percent(m.accuracy)} of {m.total:,} {facts.dataset_title} test images are classified "
        f"correctly (Wilson 95 % interval {interval(m)}) with {facts.parameters:,} parameters "
        f"after {plural(len(facts.history), 'epoch')}, {duration(facts.seconds_total)}."
    )


def interval(metrics: Metrics) -> str:
    """Write the accuracy's Wilson interval: ``99.26–99.56 %``."""
    return f"{percent_number(metrics.wilson_low)}–{percent(metrics.wilson_high)}"


def curves(facts: ReportFacts) -> str:
    """Describe the training curves, for readers who cannot see them."""
    first, last = facts.history[0], facts.history[-1]
    text = f"Loss and accuracy over {plural(len(facts.history), 'epoch')}: " + enumeration(
        [
            f"{name} accuracy from {percent(first[column])} to {percent(last[column])}"
            for name, column in (("train", "train_accuracy"), ("validation", "validation_accuracy"))
            if first.get(column) is not None and last.get(column) is not None
        ]
    )
    return f"{text}, best in epoch {facts.best_epoch}." if has_validation(facts) else f"{text}."


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


def mistakes(facts: ReportFacts) -> str:
    """Describe the grid of mistakes."""
    wrong = facts.metrics.total - facts.metrics.correct
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


def checks(facts: ReportFacts) -> str:
    """Return how many of the recipe's constraints are met."""
    failed = sum(not passed for _, passed, _ in facts.checks)
    if not facts.checks:
        return "The recipe sets no constraints."
    if failed:
        return f"{failed} of {plural(len(facts.checks), 'constraint')} not met."
    return f"{plural(len(facts.checks), 'constraint')}, all met."


def measurement(facts: ReportFacts) -> list[str]:
    """Return how the figures were measured, a paragraph each."""
    m = facts.metrics
    return [
        _choice(facts),
        _test_set(facts),
        f"The interval says how precisely {m.total:,} images measure the accuracy of these "
        "weights on all images of the same kind. Another seed gives other weights, so a claim "
        "about the recipe needs several seeds.",
        "Training figures are means over an epoch, taken while the weights changed, with the "
        "dropout, augmentation and label smoothing of the recipe. That is why they can be worse "
        "than the validation figures.",
        f"The test loss is {m.loss:.4f} nats. The expected calibration error is "
        f"{percent(m.calibration_error)}: the mean difference between confidence and accuracy "
        f"over {CALIBRATION_BINS} bins.",
        f"The {facts.parameters:,} parameters are all numbers that the deployed network stores, "
        "including the scale and shift of batch norm, but not its running statistics. One image "
        f"takes {facts.macs:,} multiply-accumulates, and {size(facts.activation_bytes)} for the "
        "activations at their peak.",
    ]


def has_validation(facts: ReportFacts) -> bool:
    """Return whether validation images were held out."""
    return any(row.get("validation_accuracy") is not None for row in facts.history)


def _choice(facts: ReportFacts) -> str:
    if not has_validation(facts):
        return (
            "No validation images were held out, so no epoch was selected: "
            f"the weights are those of the last epoch, {facts.best_epoch}."
        )
    if facts.weights_evaluated == "best":
        return (
            f"The weights are those of epoch {facts.best_epoch}, which had the highest accuracy on "
            "the validation images, held out of the training set."
        )
    return (
        f"The weights are those of the last epoch, {facts.history[-1]['epoch']}. Epoch "
        f"{facts.best_epoch} had the highest accuracy on the validation images."
    )


def _test_set(facts: ReportFacts) -> str:
    if any(row.get("test_accuracy") is not None for row in facts.history):
        return (
            "The test set decided nothing. Its accuracy after each epoch was recorded only for "
            "comparison with published figures; the result above is that of the weights named here."
        )
    return "The test set was evaluated once, after training, and decided nothing."
