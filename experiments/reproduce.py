"""Train the shipped recipes on their data sets, several seeds each, and store every figure.

    python experiments/reproduce.py --seeds 0,1,2 gap-14k two-conv-fc64 ...
    python experiments/reproduce.py --seeds 0 --variant ten-epochs \
        --set training.stop_at_accuracy=off two-conv-fc64

Writes ``results/RECIPE[-VARIANT].json``: one entry a seed, added as soon as it is done; a seed that
is there already, of the same recipe, is not run again. ``--keep DIR`` leaves the runs themselves in
``DIR``, and goes on with one there that was cut short. The tables in ``docs/`` are made from these
files by ``experiments/render_docs.py``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

from filelock import FileLock

import kilonet
from kilonet.files import write_text
from kilonet.recipe.describe import fingerprint
from kilonet.recipe.load import resolve
from kilonet.recipe.schema import Recipe
from kilonet.runs.environment import commit
from kilonet.runs.find import open_run

RESULTS = Path(__file__).resolve().parents[1] / "results"
COMMIT = commit()  # of the code as it was imported; the checkout may move on meanwhile


def train_once(name: str, overrides: list[str], out: Path) -> dict[str, Any]:
    """Train a recipe as ``kilonet train`` does, to ``out``, and return the figures of its run."""
    if is_begun(resolve(name, overrides).recipe, out):
        run = kilonet.resume(out)
    else:
        run = kilonet.train(name, overrides=overrides, out=out)
    figures, test = run.directory.metrics(), run.test
    history, seed = run.history, run.recipe.training.seed
    return {
        "seed": seed,
        "parameters": figures["parameters"],
        "test_accuracy": test.accuracy,
        "test_correct": test.correct,
        "test_total": test.total,
        "test_loss": test.loss,
        "calibration_error": test.calibration_error,
        "best_epoch": figures["best_epoch"],
        "epochs": figures["epochs"],
        "stopped_because": figures["stopped_because"],
        "seconds": round(sum(row["seconds"] for row in history), 1),
        "history": [_rounded(row) for row in history],
        "environment": run.directory.facts["environment"] | {"commit": COMMIT},
    }


def is_begun(recipe: Recipe, out: Path) -> bool:
    """Say whether a run of this recipe and seed was begun in ``out``."""
    return out.exists() and fingerprint(recipe) in fingerprints_asked(open_run(out).recipe())


def fingerprints_asked(recipe: Recipe) -> set[str]:
    """Return the fingerprints of the recipes that a run's ``recipe`` may have been resolved from.

    A run's recipe has the precision and the kernels that "auto" was resolved to.
    """
    choices = {key: {getattr(recipe.training, key), "auto"} for key in ("precision", "kernels")}
    updates = [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]
    return {
        fingerprint(recipe.model_copy(update={"training": recipe.training.model_copy(update=each)}))
        for each in updates
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
            "parameters": run.pop("parameters"),
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
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the runs' folders there")
    given = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    for seed in map(int, given.seeds.split(",")):
        for name in given.recipes:
            label = f"{name}-{given.variant}" if given.variant else name
            own = [f"training.seed={seed}", f"training.threads={given.threads}"]
            # said outright, a data set that cannot be had is an error, and no other stands in
            data = resolve(name, given.overrides).recipe.data.name
            overrides = [*given.overrides, *own, f"data.name={data}"]
            recipe = resolve(name, overrides).recipe
            if is_done(label, recipe):
                continue
            with tempfile.TemporaryDirectory() as folder:
                out = (given.keep or Path(folder)) / f"{label}-seed-{seed}"
                run = train_once(name, overrides, out)
            store(label, name, given.overrides, recipe, run)
            print(
                f"{label} seed {seed}: {run['test_accuracy']:.4f} in {run['seconds']} s", flush=True
            )


if __name__ == "__main__":
    main()
