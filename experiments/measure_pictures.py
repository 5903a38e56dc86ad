"""Measure on the development set what share of each kind of picture a network predicts correctly.

    python experiments/measure_pictures.py RUN [--each 600] [--seed 0]

RUN is a finished run on MNIST. The digits are training images that it held back for validation;
test images are not used. Writes ``results/pictures-development.json``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from kilonet.data.dataset import load_dataset
from kilonet.data.split import stratified_split
from kilonet.files import write_text
from kilonet.inference import Prediction, Reader, reader
from kilonet.inference.model import CUT_OFF, MIN_DIGIT_SCORE
from kilonet.preprocessing import PictureError, prepare
from kilonet.runs.environment import environment
from kilonet.workflows.runs import find_run
from pictures.development import Bytes, digits, no_digits
from pictures.non_digits import non_digits

MINIMA = (0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.99)
RESULT = Path(__file__).resolve().parents[1] / "results" / "pictures-development.json"


def held_back(source: str) -> tuple[Bytes, Any]:
    """Return the images, uint8 (N, 28, 28), and labels that the run did not train on."""
    recipe = find_run(source).recipe
    dataset = load_dataset("mnist")
    labels = dataset.train_labels
    _, indices = stratified_split(labels, recipe.data.validation, recipe.training.seed)
    return dataset.train_images[indices, 0].numpy(), labels[indices].numpy()


def forced(reads: Reader, picture: Any) -> Prediction | None:
    """Return the prediction even of what is not like a digit; None if there is nothing to read."""
    (outcome,) = reads.stream([picture], force=True)
    return None if isinstance(outcome, PictureError) else outcome[0]


def measure_digits(
    reads: Reader, samples: Iterable[tuple[str, int, Any]]
) -> tuple[dict[str, Any], list[Prediction | None]]:
    """Return the counts of each kind, and the predictions."""
    counts: dict[str, Counter[str]] = {}
    found = []
    for kind, label, picture in samples:
        one = forced(reads, picture)
        found.append(one)
        count = counts.setdefault(kind, Counter({"total": 0, "right": 0, "refused": 0, "cut": 0}))
        count["total"] += 1
        count["refused"] += _is_refused(one)
        count["right"] += one is not None and not _is_refused(one) and one.digit == str(label)
        count["cut"] += one is not None and CUT_OFF in one.notes
    return {kind: dict(count) for kind, count in counts.items()}, found


def measure_others(
    reads: Reader, samples: Iterable[tuple[str, Any]]
) -> tuple[dict[str, Any], list[Prediction | None]]:
    """Return the counts of each kind of pictures without a digit, and the predictions."""
    counts: dict[str, Counter[str]] = {}
    found = []
    for kind, picture in samples:
        one = forced(reads, picture)
        found.append(one)
        count = counts.setdefault(kind, Counter({"total": 0, "refused": 0, "empty": 0}))
        count["total"] += 1
        count["refused"] += _is_refused(one)
        count["empty"] += one is None
    return {kind: dict(count) for kind, count in counts.items()}, found


def _is_refused(one: Prediction | None, minimum: float = MIN_DIGIT_SCORE) -> bool:
    return one is None or (one.digit_score or 0) < minimum


def operating_curve(
    digit: list[Prediction | None], others: list[Prediction | None]
) -> list[dict[str, float]]:
    """Return for each minimum score what share of digits and of other pictures is refused."""
    return [
        {
            "minimum": minimum,
            "digits": float(np.mean([_is_refused(one, minimum) for one in digit])),
            "others": float(np.mean([_is_refused(one, minimum) for one in others])),
        }
        for minimum in MINIMA
    ]


def compare_scores(
    digit: list[Prediction | None], others: list[Prediction | None]
) -> dict[str, dict[str, float]]:
    """Return what each score refuses at two points, with its best minimum for them."""
    result = {}
    for name in ("digit_score", "confidence"):
        own, other = (
            np.array([-1.0 if one is None else getattr(one, name) for one in group])
            for group in (digit, others)
        )
        # the largest minima that refuse at most 1 % of digits, the least for 95 % of the others
        few, most = np.quantile(own, 0.01, method="lower"), np.quantile(other, 0.95)
        result[name] = {
            "others_at_1_percent": float((other < few).mean()),
            "digits_at_95_percent": float((own <= most).mean()),
        }
    return result


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
    parser.add_argument("--seed", type=int, default=0, help="of the pictures")
    given = parser.parse_args()
    reads, (images, labels) = reader(given.run), held_back(given.run)
    run = find_run(given.run)
    facts, recipe = run.directory.facts, run.recipe
    samples = digits(images, labels, 3, seed=1)
    plain = [picture for kind, _, picture in samples if kind == "plain"][-1]
    read, of_digits = measure_digits(reads, digits(images, labels, given.each, given.seed))
    others, of_others = measure_others(reads, non_digits(images, given.each, given.seed))
    found: dict[str, Any] = {
        "network": {key: facts[key] for key in ("recipe", "fingerprint", "parameters")}
        | {"epochs": recipe.training.epochs, "held_back": recipe.data.validation},
        "digits": read,
        "non_digits": others,
        "curve": operating_curve(of_digits, of_others),
        "scores": compare_scores(of_digits, of_others),
        "refusals": measure_refusals(images, given.each // 3),
        "milliseconds": {"plain": round(measure_time(np.asarray(plain)), 2)},
        "environment": environment("cpu", 1),
    }
    write_text(RESULT, json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    for kind, count in found["digits"].items():
        print(f"{kind:30} {count['right'] / count['total']:.2%} of {count['total']}")
    for kind, count in others.items():
        print(f"{kind:30} {count['refused'] / count['total']:.2%} refused of {count['total']}")


if __name__ == "__main__":
    main()
