"""Try variants of a small network by short trainings, on validation images alone.

    python experiments/frontier/search.py --seeds 0,1 "2k/*"
    python experiments/frontier/search.py --seeds 0,1,2,3,4 "2k/base" "2k/relu"

Each trial of ``trials.toml`` is the recipe ``base.toml`` with overrides, its group's and its own,
on MNIST unless one of them names another data set. A seed draws the split of the training images
too, so several of them average over splits. The test images are not loaded into a trial at all.
``results/frontier-search.json`` gets an entry a trial and seed as soon as it is done; one that is
there already, of the same recipe, is not run again, so several processes may work through the same
line, each from another end (``--reverse``).
"""

from __future__ import annotations

import argparse
import json
import time
import tomllib
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from kilonet.data.dataset import Dataset, load_dataset
from kilonet.files import write_text
from kilonet.models.measure import count_parameters, total_macs
from kilonet.progress import Silent
from kilonet.recipe.describe import fingerprint
from kilonet.recipe.load import resolve
from kilonet.recipe.schema import Recipe
from kilonet.runs.environment import commit
from kilonet.training.data import Split, TrainingData, split_dataset
from kilonet.training.device import choose_device, configure
from kilonet.training.fit import Fit
from kilonet.training.seeding import derive
from kilonet.workflows.load import network_for

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parents[1] / "results" / "frontier-search.json"
COMMIT = commit()  # of the code as it was imported; the checkout may move on meanwhile
DEVICE = choose_device("cpu")


@dataclass(frozen=True)
class Trial:
    """One variant: its name, GROUP/WHAT, and how its recipe differs from the base."""

    name: str
    overrides: list[str]

    def recipe(self, seed: int) -> Recipe:
        """Return the recipe with this seed."""
        words = ["data.name=mnist", *self.overrides, f"training.seed={seed}"]
        return resolve(HERE / "base.toml", words).recipe


def read_trials(patterns: list[str]) -> list[Trial]:
    """Return the trials whose name matches one of the ``patterns`` (all, without any)."""
    content = tomllib.loads((HERE / "trials.toml").read_text(encoding="utf-8"))
    groups = content.get("group", {})
    trials = [
        Trial(name, groups.get(name.split("/")[0], []) + entry.get("overrides", []))
        for entry in content["trial"]
        for name in [entry["name"]]
    ]
    wanted = patterns or ["*"]
    return [trial for trial in trials if any(fnmatch(trial.name, each) for each in wanted)]


def run(trial: Trial, seed: int, dataset: Dataset) -> dict[str, Any]:
    """Train ``trial`` once and return what its last weights do on the validation images."""
    recipe = trial.recipe(seed)
    configure(DEVICE, recipe.training.threads, recipe.training.deterministic)
    torch.manual_seed(derive(seed, "weights"))
    network = network_for(recipe)
    fit = Fit(network, without_test(dataset, recipe), recipe, DEVICE)
    began = time.perf_counter()
    last = fit.run(lambda _: None, Silent()).history[-1]
    return {
        "name": trial.name,
        "overrides": trial.overrides,
        "fingerprint": fingerprint(recipe),
        "parameters": count_parameters(network),
        "macs": total_macs(network, tuple(dataset.train_images.shape[1:])),
        "seed": seed,
        "epochs": recipe.training.epochs,
        "validation_accuracy": round(last["validation_accuracy"], 6),
        "validation_loss": round(last["validation_loss"], 6),
        "train_loss": round(last["train_loss"], 6),
        "seconds": round(time.perf_counter() - began, 1),
        "commit": COMMIT,
    }


def without_test(dataset: Dataset, recipe: Recipe) -> TrainingData:
    """Return the material of a fit with nothing in the place of the test images."""
    material = split_dataset(dataset, recipe.data.validation, recipe.training.seed, DEVICE)
    nothing = Split(material.test.images[:0], material.test.labels[:0])
    return replace(material, test=nothing)


def stored() -> list[dict[str, Any]]:
    """Return the entries so far."""
    if not RESULTS.exists():
        return []
    entries: list[dict[str, Any]] = json.loads(RESULTS.read_text(encoding="utf-8"))["trials"]
    return entries


def is_done(trial: Trial, seed: int) -> bool:
    """Say whether this seed of this very recipe is stored."""
    wanted = (trial.name, fingerprint(trial.recipe(seed)), seed)
    return any((e["name"], e["fingerprint"], e["seed"]) == wanted for e in stored())


def store(entry: dict[str, Any]) -> None:
    """Add ``entry``, in place of what an earlier recipe of that name and seed reached."""
    with FileLock(RESULTS.parent / f".{RESULTS.name}.lock"):
        kept = [
            old for old in stored() if (old["name"], old["seed"]) != (entry["name"], entry["seed"])
        ]
        entries = sorted([*kept, entry], key=lambda each: (each["name"], each["seed"]))
        write_text(RESULTS, json.dumps({"trials": entries}, indent=1) + "\n")


def main() -> None:
    """Run the trials of the command line, seed by seed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("patterns", nargs="*", metavar="NAME", help="such as 2k/*")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--reverse", action="store_true", help="begin with the last trial")
    given = parser.parse_args()
    trials = read_trials(given.patterns)
    datasets = {name: load_dataset(name) for name in {t.recipe(0).data.name for t in trials}}
    for seed in map(int, given.seeds.split(",")):
        for trial in reversed(trials) if given.reverse else trials:
            if not is_done(trial, seed):
                entry = run(trial, seed, datasets[trial.recipe(seed).data.name])
                store(entry)
                print(
                    f"{trial.name} ({entry['parameters']:,}) seed {seed}: "
                    f"{entry['validation_accuracy']:.2%} in {entry['seconds']} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
