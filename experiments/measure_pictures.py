"""Measure on the development set what share of each kind of picture a network predicts correctly.

    python experiments/measure_pictures.py RUN [--each 600]

RUN is a finished run on MNIST. The digits are training images that it held back for validation;
test images are not used. Writes ``results/pictures-development.json``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from kilonet.data.dataset import load_dataset
from kilonet.data.split import stratified_split
from kilonet.files import write_text
from kilonet.inference import Reader, reader
from kilonet.preprocessing import PictureError, prepare
from kilonet.runs.environment import environment
from kilonet.workflows.runs import find_run
from pictures.development import Bytes, digits, doodles, no_digits

CONFIDENCES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999)
RESULT = Path(__file__).resolve().parents[1] / "results" / "pictures-development.json"


def held_back(source: str) -> tuple[Bytes, Any]:
    """Return the images, uint8 (N, 28, 28), and labels that the run did not train on."""
    recipe = find_run(source).recipe
    dataset = load_dataset("mnist")
    labels = dataset.train_labels
    _, indices = stratified_split(labels, recipe.data.validation, recipe.training.seed)
    return dataset.train_images[indices, 0].numpy(), labels[indices].numpy()


def measure_digits(
    reads: Reader, images: Bytes, labels: Any, each: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the number of pictures, correct ones and refused ones of each kind.

    And over all kinds: the accepted and the correct ones for each of ``CONFIDENCES``.
    """
    counts: dict[str, Counter[str]] = {}
    sure: dict[str, Any] = {"total": 0, "read": [0] * len(CONFIDENCES)}
    sure["right"] = [0] * len(CONFIDENCES)
    for kind, label, picture in digits(images, labels, each):
        (outcome,) = reads.stream([picture])
        count = counts.setdefault(kind, Counter({"total": 0, "right": 0, "refused": 0}))
        count["total"] += 1
        sure["total"] += 1
        if isinstance(outcome, PictureError):
            count["refused"] += 1
            continue
        correct = outcome[0].digit == str(label)
        count["right"] += correct
        for name in ("read", "right") if correct else ("read",):
            _count(sure[name], outcome[0].confidence)
    return {kind: dict(count) for kind, count in counts.items()}, sure


def measure_doodles(reads: Reader, each: int) -> dict[str, Any]:
    """Return how many "letters" and "scribbles" are accepted at each of ``CONFIDENCES``."""
    found: dict[str, Any] = {
        kind: {"total": 0, "read": [0] * len(CONFIDENCES)} for kind in ("letters", "scribbles")
    }
    for kind, picture in doodles(each):
        (outcome,) = reads.stream([picture])
        found[kind]["total"] += 1
        if not isinstance(outcome, PictureError):
            _count(found[kind]["read"], outcome[0].confidence)
    return found


def _count(counts: list[int], confidence: float) -> None:
    """Add one to the count of every minimum confidence that accepts ``confidence``."""
    for place, minimum in enumerate(CONFIDENCES):
        counts[place] += confidence >= minimum


def measure_refusals(images: Bytes, each: int) -> dict[str, Any]:
    """Return for each expected error how many pictures were refused, and with that error."""
    counts: dict[str, Counter[str]] = {}
    for kind, picture in no_digits(images, each):
        count = counts.setdefault(kind, Counter({"total": 0, "as_named": 0, "refused": 0}))
        count["total"] += 1
        try:
            prepare(picture)
        except PictureError as error:
            count["refused"] += 1
            count["as_named"] += error.kind == kind
    return {kind: dict(count) for kind, count in counts.items()}


def measure_time(picture: Bytes, repeats: int = 300) -> float:
    """Return the median time of preparing ``picture`` in milliseconds."""
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        prepare(picture)
        taken.append(time.perf_counter() - begin)
    return 1000 * float(np.median(taken))


def main() -> None:
    """Measure, store, and print the accuracy on each kind."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", help="a finished run on MNIST")
    parser.add_argument("--each", type=int, default=600, help="pictures of each kind")
    given = parser.parse_args()
    reads, (images, labels) = reader(given.run), held_back(given.run)
    run = find_run(given.run)
    facts, recipe = run.directory.facts, run.recipe
    samples = digits(images, labels, 3, seed=1)
    plain = [picture for kind, _, picture in samples if kind == "plain"][-1]
    read, sure = measure_digits(reads, images, labels, given.each)
    found: dict[str, Any] = {
        "network": {key: facts[key] for key in ("recipe", "fingerprint", "parameters")}
        | {"epochs": recipe.training.epochs, "held_back": recipe.data.validation},
        "digits": read,
        "confidences": CONFIDENCES,
        "sure": {"digits": sure, **measure_doodles(reads, given.each)},
        "refusals": measure_refusals(images, given.each // 3),
        "milliseconds": {"plain": round(measure_time(np.asarray(plain)), 2)},
        "environment": environment("cpu", 1),
    }
    write_text(RESULT, json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    for kind, count in found["digits"].items():
        print(f"{kind:28} {count['right'] / count['total']:.2%} of {count['total']}")


if __name__ == "__main__":
    main()
