"""Train the shipped recipes on MNIST, several seeds each, and store every figure.

    python scripts/reproduce.py --seeds 0,1,2 gap-14k two-conv-fc64 ...
    python scripts/reproduce.py --seeds 0 --variant ten-epochs \
        --set training.stop_at_accuracy=off two-conv-fc64

Writes ``results/RECIPE[-VARIANT].json``: one entry a seed, added as soon as it is done; a seed that
is there already, of the same recipe, is not run again. The tables in ``docs/`` are made from these
files by ``scripts/make_docs.py``.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from kilonet.atomic import write_text
from kilonet.data.dataset import Dataset, load_dataset
from kilonet.evaluation.inference import predict_probabilities
from kilonet.evaluation.metrics import measure
from kilonet.models.build import build, check_budget
from kilonet.recipe.describe import fingerprint
from kilonet.recipe.load import resolve
from kilonet.recipe.schema import Recipe
from kilonet.runs.environment import commit, environment
from kilonet.training.device import choose_device, configure
from kilonet.training.fit import Fit
from kilonet.training.material import prepare
from kilonet.training.progress import Silent
from kilonet.training.seeding import derive

RESULTS = Path(__file__).resolve().parents[1] / "results"
COMMIT = commit()  # of the code as it was imported; the checkout may move on meanwhile


def train_once(name: str, recipe: Recipe, dataset: Dataset) -> dict[str, Any]:
    """Train ``recipe`` and return its figures; the test split is evaluated once, at the end."""
    device = choose_device(recipe.training.device)
    threads = configure(device, recipe.training.threads, recipe.training.deterministic)
    torch.manual_seed(derive(recipe.training.seed, "weights"))
    model = build(recipe.model)
    check_budget(model, recipe, name)
    began = time.perf_counter()
    material = prepare(dataset, recipe.data.validation, recipe.training.seed, device)
    outcome = Fit(model, material, recipe, device).run(lambda _: None, Silent())
    seconds = time.perf_counter() - began
    model.load_state_dict(outcome.best if recipe.training.keep == "best" else outcome.last)
    test = material.test
    probabilities = predict_probabilities(model, test.images, dataset.mean, dataset.std)
    metrics = measure(probabilities, test.labels.numpy(), dataset.classes)
    return {
        "seed": recipe.training.seed,
        "test_accuracy": metrics.accuracy,
        "test_correct": metrics.correct,
        "test_total": metrics.total,
        "test_loss": metrics.loss,
        "calibration_error": metrics.calibration_error,
        "best_epoch": outcome.best_epoch,
        "epochs": len(outcome.history),
        "stopped_because": outcome.stopped_because,
        "seconds": round(seconds, 1),
        "history": [
            {key: round(value, 6) for key, value in row.items()} for row in outcome.history
        ],
        "environment": environment(str(device), threads) | {"commit": COMMIT},
    }


def _rounded(row: dict[str, float]) -> dict[str, float]:
    return {key: round(value, 6) for key, value in row.items()}


def store(label: str, name: str, overrides: list[str], recipe: Recipe, run: dict[str, Any]) -> None:
    """Add ``run`` to the results file of ``label``."""
    path = RESULTS / f"{label}.json"
    with FileLock(RESULTS / f".{label}.lock"):
        found = json.loads(path.read_text()) if path.exists() else {}
        if found.get("fingerprint") != fingerprint(recipe):
            found = {"runs": []}
        runs = [old for old in found["runs"] if old["seed"] != run["seed"]] + [run]
        content = {
            "recipe": name,
            "overrides": overrides,
            "fingerprint": fingerprint(recipe),
            "parameters": check_budget(build(recipe.model), recipe, name),
            "data": recipe.data.model_dump(),
            "runs": sorted(runs, key=lambda entry: int(entry["seed"])),
        }
        write_text(path, json.dumps(content, indent=1) + "\n")


def is_done(label: str, recipe: Recipe) -> bool:
    """Say whether this seed of this recipe is stored already."""
    path = RESULTS / f"{label}.json"
    found = json.loads(path.read_text()) if path.exists() else {"runs": []}
    same = found.get("fingerprint") == fingerprint(recipe)
    return same and any(run["seed"] == recipe.training.seed for run in found["runs"])


def main() -> None:
    """Run every recipe and seed of the command line, one after another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("recipes", nargs="+")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--variant", default="")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    dataset = load_dataset("mnist")
    for seed in map(int, given.seeds.split(",")):
        for name in given.recipes:
            label = f"{name}-{given.variant}" if given.variant else name
            own = [f"training.seed={seed}", f"training.threads={given.threads}"]
            recipe = resolve(name, [*given.overrides, *own]).recipe
            if is_done(label, recipe):
                continue
            run = train_once(name, recipe, dataset)
            store(label, name, given.overrides, recipe, run)
            print(
                f"{label} seed {seed}: {run['test_accuracy']:.4f} in {run['seconds']} s", flush=True
            )


if __name__ == "__main__":
    main()
