"""Measure what share of handwritten shapes that MNIST has few of a network predicts correctly.

    python experiments/measure_handwriting.py RUN [RUN ...] [--each 150]

A RUN is a finished run on MNIST or a shipped model. The pictures are drawn shapes, and real digits
that scikit-learn has; no image of MNIST is used. Writes ``results/handwriting.json``, from which
the documentation compares two runs, without and with ``augmentation.handwriting``.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn import datasets

import kilonet
from kilonet.evaluation.predict import predict_probabilities
from kilonet.files import write_text
from kilonet.preprocessing import PictureError, prepare
from kilonet.runs.environment import environment
from kilonet.workflows.runs import find_run
from pictures.handwriting import Bytes, handwriting
from pictures.kinds import to_bytes

RESULT = Path(__file__).resolve().parents[1] / "results" / "handwriting.json"
Prepared = tuple[list[str], list[int], torch.Tensor]


def pictures(each: int) -> Iterator[tuple[str, int, Bytes]]:
    """Yield name, digit and picture: the drawn shapes, then scikit-learn's scans of real digits."""
    yield from handwriting(each)
    bunch = datasets.load_digits()
    for scan, label in zip(bunch.images, bunch.target.tolist(), strict=True):
        yield f"8×8 scans of {label}", label, to_bytes(scan * (255 / 16))


def prepared(each: int) -> Prepared:
    """Return shape, digit and 28×28 pixels of each picture; refused ones become empty images."""
    names, labels, images = [], [], []
    for name, label, picture in pictures(each):
        names.append(name)
        labels.append(label)
        try:
            images.append(prepare(picture))
        except PictureError:
            images.append(np.zeros((28, 28), dtype=np.uint8))
    return names, labels, torch.from_numpy(np.stack(images)).unsqueeze(1)


def measured(source: str, of: Prepared) -> dict[str, Any]:
    """Return what the run is, and of each shape the number of pictures and of correct ones."""
    names, labels, images = of
    run = find_run(source)
    info, facts = run.data_info, run.directory.facts
    predicted = predict_probabilities(kilonet.load(source), images, info.mean, info.std)
    refused = (images.flatten(1).amax(dim=1) == 0).numpy()
    right = (predicted.argmax(axis=1) == np.array(labels)) & ~refused
    total, correct = Counter(names), Counter(np.array(names)[right].tolist())
    return {
        **{key: facts[key] for key in ("recipe", "fingerprint", "parameters")},
        "handwriting": run.recipe.augmentation.handwriting,
        "epochs": run.recipe.training.epochs,
        **{key: run.history[-1].get(key) for key in ("validation_accuracy", "validation_loss")},
        "seed": run.recipe.training.seed,
        "shapes": {name: {"total": total[name], "right": correct[name]} for name in total},
    }


def main() -> None:
    """Measure each run, print its figures, and store them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a finished run or a shipped model")
    parser.add_argument("--each", type=int, default=150, help="pictures of each shape")
    parser.add_argument("--print", action="store_true", help="store nothing")
    given = parser.parse_args()
    of = prepared(given.each)
    entries = [measured(run, of) for run in given.runs]
    for entry in entries:
        print(f"{entry['recipe']}, handwriting {entry['handwriting']:g}")
        for name, count in entry["shapes"].items():
            print(f"  {name:24} {count['right'] / count['total']:7.2%} of {count['total']}")
    if given.print:
        return
    found = {"runs": entries, "environment": environment("cpu", 1)}
    write_text(RESULT, json.dumps(found, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
