"""What a report says in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kilonet.evaluation.metrics import CALIBRATION_BINS, Metrics
from kilonet.report._pictures import MOST_MISTAKES
from kilonet.report.facts import ReportFacts
from kilonet.report.words import duration, enumeration, percent, percent_number, plural, size


def answer(facts: ReportFacts) -> str:
    """Return the one sentence that a reader came for."""
    m = facts.metrics
    return (
        f"{percent(m.accuracy)} of {m.total:,} {facts.dataset_title} test images right "
        f"(Wilson 95 % interval {interval(m)}) with {facts.parameters:,} parameters "
        f"after {plural(len(facts.history), 'epoch')}, {duration(facts.seconds_total)}."
    )


def interval(metrics: Metrics) -> str:
    """Write the accuracy's Wilson interval: ``99.26–99.56 %``."""
    return f"{percent_number(metrics.wilson_low)}–{percent(metrics.wilson_high)}"


def curves(facts: ReportFacts) -> str:
    """Return what the training curves show, for those who cannot see them."""
    first, last = facts.history[0], facts.history[-1]
    told = f"Loss and accuracy over {plural(len(facts.history), 'epoch')}: " + enumeration(
        [
            f"{name} accuracy from {percent(first[column])} to {percent(last[column])}"
            for name, column in (("train", "train_accuracy"), ("validation", "validation_accuracy"))
            if first.get(column) is not None and last.get(column) is not None
        ]
    )
    return f"{told}, best in epoch {facts.best_epoch}." if has_validation(facts) else f"{told}."


def confusions(metrics: Metrics, classes: Sequence[str], most: int = 3) -> str:
    """Return how many images were misread, and what was most often mistaken for what."""
    wrong = metrics.total - metrics.correct
    if not wrong:
        return f"Not one of {metrics.total:,} images was misread."
    counts = np.asarray(metrics.confusion)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[:most]
    pairs = [divmod(int(place), len(classes)) for place in order]
    told = [
        f"{classes[true]} as {classes[read]} ({plural(int(counts[true, read]), 'time')})"
        for true, read in pairs
        if counts[true, read]
    ]
    return f"{wrong:,} of {metrics.total:,} images were misread, most often {enumeration(told)}."


def mistakes(facts: ReportFacts) -> str:
    """Return what the grid of mistakes shows."""
    wrong = facts.metrics.total - facts.metrics.correct
    if not wrong:
        return "There is no mistake to show."
    shown = (
        "Every mistake"
        if wrong <= MOST_MISTAKES
        else f"The {MOST_MISTAKES} most confident of {wrong:,} mistakes"
    )
    return (
        f"{shown}, the most confident first: what it is → what it was read as, the model's "
        "confidence, and the image's number in the test set."
    )


def checks(facts: ReportFacts) -> str:
    """Return how many of the recipe's constraints hold."""
    failed = sum(not passed for _, passed, _ in facts.checks)
    if not facts.checks:
        return "The recipe sets no constraints."
    if failed:
        return f"{failed} of {plural(len(facts.checks), 'constraint')} not met."
    return f"{plural(len(facts.checks), 'constraint')}, all met."


def measurement(facts: ReportFacts) -> list[str]:
    """Return how the figures came about, a paragraph each."""
    m = facts.metrics
    return [
        _choice(facts),
        _test_set(facts),
        f"The interval is how closely {m.total:,} images pin down the accuracy of these very "
        "weights on all images of the same kind. Another seed gives other weights; a claim about "
        "the recipe takes several.",
        "Training figures are running means over an epoch, taken while the weights still changed, "
        "with dropout and augmentation at work where the recipe has them. That is why they can "
        "be worse than those on validation.",
        f"The test loss is {m.loss:.4f} nats. The expected calibration error is "
        f"{percent(m.calibration_error)}: by so much do the model's confidence and its accuracy "
        f"differ on average, over {CALIBRATION_BINS} bins.",
        f"The {facts.parameters:,} parameters are all numbers the deployed network has to store, "
        "batch norm's scale and shift included; only its running statistics are exempt. One image "
        f"takes {facts.macs:,} multiply-accumulates, and {size(facts.activation_bytes)} for the "
        "activations at their peak.",
    ]


def has_validation(facts: ReportFacts) -> bool:
    """Say whether validation images were held out."""
    return any(row.get("validation_accuracy") is not None for row in facts.history)


def _choice(facts: ReportFacts) -> str:
    if not has_validation(facts):
        return (
            "No validation images were held out, so nothing was chosen: "
            f"the weights are those of epoch {facts.best_epoch}, the last."
        )
    if facts.weights_evaluated == "best":
        return (
            f"Validation decided: the weights are those of epoch {facts.best_epoch}, which had "
            "the highest accuracy on images held out of the training set."
        )
    return (
        f"The weights are those of the last epoch, {facts.history[-1]['epoch']}. On images held "
        f"out of the training set, epoch {facts.best_epoch} was the best."
    )


def _test_set(facts: ReportFacts) -> str:
    if any(row.get("test_accuracy") is not None for row in facts.history):
        return (
            "The test set decided nothing. Its accuracy after each epoch was recorded only to "
            "compare with published figures; the result above is that of the weights just named."
        )
    return "The test set was looked at once, after training, and decided nothing."
