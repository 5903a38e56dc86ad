"""What takes longer than a test: the default recipe on all of MNIST, its ONNX file on every image.

    python experiments/verify.py

Trains the default recipe as ``kilonet train`` does, then reads all 10,000 test images with PyTorch
and with ONNX Runtime. Writes ``results/verify.json`` and exits 1 if a bound does not hold.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

import kilonet
from kilonet.data.batches import normalise
from kilonet.data.dataset import load_dataset
from kilonet.files import write_text
from kilonet.progress import PrintReporter
from kilonet.recipe.catalog import DEFAULT_RECIPE

RESULT = Path(__file__).resolve().parents[1] / "results" / "verify.json"
LEAST_ACCURACY = 0.99
LARGEST_LOGIT_DIFFERENCE = 1e-3


def verify(folder: Path) -> dict[str, Any]:
    """Train the default recipe into ``folder`` and return what was found."""
    began = time.perf_counter()
    run = kilonet.train(
        DEFAULT_RECIPE, data_name="mnist", out=folder / "run", reporter=PrintReporter()
    )
    seconds = time.perf_counter() - began
    dataset = load_dataset("mnist")
    with torch.no_grad():
        images = normalise(dataset.test_images, dataset.mean, dataset.std)
        ours = kilonet.load(run)(images).numpy()
    session = onnxruntime.InferenceSession(run.path / "model.onnx")
    theirs = session.run(["logits"], {"image": dataset.test_images.numpy()})[0]
    return {
        "recipe": DEFAULT_RECIPE,
        "test_accuracy": run.test.accuracy,
        "seconds_with_report": round(seconds, 1),
        "same_labels": int((ours.argmax(1) == theirs.argmax(1)).sum()),
        "images": len(ours),
        "largest_logit_difference": float(np.abs(ours - theirs).max()),
        "environment": run.directory.facts["environment"],
    }


def main() -> int:
    """Verify, store, print, and say whether every bound holds."""
    with tempfile.TemporaryDirectory() as folder:
        found = verify(Path(folder))
    write_text(RESULT, json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))
    holds = (
        found["test_accuracy"] >= LEAST_ACCURACY
        and found["same_labels"] == found["images"]
        and found["largest_logit_difference"] <= LARGEST_LOGIT_DIFFERENCE
    )
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
