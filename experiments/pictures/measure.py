"""Measure the preparation on made pictures: what share of each kind a network reads right.

    python experiments/pictures/measure.py RUN [--each 600]

RUN is a finished run on MNIST. The MNIST shapes come from the training images that it held back for
validation; test images are never touched. Writes ``results/pictures-development.json``; then
``python experiments/pictures/page.py`` brings it into the docs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kilonet.data.dataset import load_dataset
from kilonet.data.split import split_validation
from kilonet.files import write_text
from kilonet.inference import Reader, reader
from kilonet.preprocessing import PictureError, prepare
from kilonet.runs.environment import environment
from kilonet.workflows.run import find_run
from pictures.development import Bytes, digits, no_digits
from pictures.doodles import doodles

CONFIDENCES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999)
RESULT = Path(__file__).resolve().parents[2] / "results" / "pictures-development.json"


def held_back(source: str) -> tuple[Bytes, Any]:
    """Return the images, uint8 (N, 28, 28), and labels that the run did not train on."""
    recipe = find_run(source).recipe
    dataset = load_dataset("mnist")
    labels = dataset.train_labels
    _, indices = split_validation(labels, recipe.data.validation, recipe.training.seed)
    return dataset.train_images[indices, 0].numpy(), labels[indices].numpy()


def measure_digits(
    reads: Reader, images: Bytes, labels: Any, each: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return, for each kind, how many pictures there were, were read right and were refused.

    And with which confidence: how many were read, and read right, at each of ``CONFIDENCES``.
    """
    counts: dict[str, Counter[str]] = {}
    sure: dict[str, Any] = {
        "total": 0,
        "read": [0] * len(CONFIDENCES),
        "right": [0] * len(CONFIDENCES),
    }
    for kind, label, picture in digits(images, labels, each):
        (outcome,) = reads.stream([picture])
        count = counts.setdefault(kind, Counter({"total": 0, "right": 0, "refused": 0}))
        count["total"] += 1
        sure["total"] += 1
        if isinstance(outcome, PictureError):
            count["refused"] += 1
            continue
        right = outcome[0].digit == str(label)
        count["right"] += right
        for count_of in ("read", "right") if right else ("read",):
            _count(sure[count_of], outcome[0].confidence)
    return {kind: dict(count) for kind, count in counts.items()}, sure


def measure_doodles(reads: Reader, each: int) -> dict[str, Any]:
    """Return how many "letters" and "scribbles" are read as a digit at each of ``CONFIDENCES``."""
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
    """Count a reading in wherever it is sure enough."""
    for place, least in enumerate(CONFIDENCES):
        counts[place] += confidence >= least


def measure_refusals(images: Bytes, each: int) -> dict[str, Any]:
    """Return, for each kind of refusal that is due, how often that or another error came."""
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
    """Return the median milliseconds that preparing ``picture`` takes."""
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        prepare(picture)
        taken.append(time.perf_counter() - begin)
    return 1000 * float(np.median(taken))


def main() -> None:
    """Measure, store, and print the share of each kind."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", help="a finished run on MNIST")
    parser.add_argument("--each", type=int, default=600, help="pictures of each kind")
    given = parser.parse_args()
    reads, (images, labels) = reader(given.run), held_back(given.run)
    run = find_run(given.run)
    facts, recipe = run.directory.facts, run.recipe
    samples = {kind: picture for kind, _, picture in digits(images, labels, 3, seed=1)}
    read, sure = measure_digits(reads, images, labels, given.each)
    found: dict[str, Any] = {
        "network": {key: facts[key] for key in ("recipe", "fingerprint", "parameters")}
        | {"epochs": recipe.training.epochs, "held_back": recipe.data.validation},
        "digits": read,
        "confidences": CONFIDENCES,
        "sure": {"digits": sure, **measure_doodles(reads, given.each)},
        "refusals": measure_refusals(images, given.each // 3),
        "milliseconds": {
            kind: round(measure_time(np.asarray(samples[kind])), 2) for kind in ("plain",)
        },
        "environment": environment("cpu", 1),
    }
    write_text(RESULT, json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    for kind, count in found["digits"].items():
        print(f"{kind:28} {count['right'] / count['total']:.2%} of {count['total']}")


if __name__ == "__main__":
    main()
