"""Time to accuracy: the ``fast`` recipes, many seeds, from raw bytes in memory to final weights.

The clock starts when the processes have loaded PyTorch and the leading one the data set's files;
it stops when the weights that the run is judged by are there. Splitting, building the network,
bringing the workers together (the others read the files for themselves), training and the look at
validation images after each epoch are inside; the look at the test images comes after.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from benchmarks.field import Settings
from benchmarks.results import Reach, ReachEntry, ReachRun, machine
from kilonet.data.dataset import Dataset, load_dataset
from kilonet.evaluation.predict import predict_probabilities
from kilonet.models.measure import count_parameters
from kilonet.progress import Silent
from kilonet.recipe.describe import fingerprint
from kilonet.recipe.load import resolve
from kilonet.recipe.schema import Recipe
from kilonet.training.device import choose_device, configure
from kilonet.training.material import prepare
from kilonet.training.seeding import derive
from kilonet.training.weights import put_weights
from kilonet.workflows.load import network_for
from kilonet.workflows.team import Team, fit_with, gather

RECIPES = ("fast-99", "fast-99.4")


def run(settings: Settings, seeds: Sequence[int]) -> Reach:
    """Train every recipe with every seed, in turn, and return what each run took and reached."""
    facts = machine(settings.quick)
    short = ["training.epochs=1"]
    changes = short if settings.quick else []
    for name in RECIPES:
        _timed(name, short, 0)  # code and memory are warm from here on
    runs: dict[str, list[ReachRun]] = {name: [] for name in RECIPES}
    for seed in seeds:
        for name in RECIPES:
            runs[name].append(_timed(name, changes, seed))
    return Reach(machine=facts, contestants={n: _entry(n, changes, runs[n]) for n in RECIPES})


def _timed(name: str, changes: Sequence[str], seed: int) -> ReachRun:
    recipe = resolve(name, [*changes, f"training.seed={seed}"]).recipe
    device = choose_device(recipe.training.device)
    configure(device, recipe.training.threads, recipe.training.deterministic)
    with gather(recipe, device) as team:
        team.ready()
        dataset = load_dataset(recipe.data.name)
        return _trained(recipe, dataset, device, team)


def _trained(recipe: Recipe, dataset: Dataset, device: torch.device, team: Team) -> ReachRun:
    began = time.perf_counter()
    torch.manual_seed(derive(recipe.training.seed, "weights"))
    network = network_for(recipe)
    material = prepare(dataset, recipe.data.validation, recipe.training.seed, device)
    fit = fit_with(team, network, material, recipe, device)
    outcome = fit.run(lambda _: None, Silent())
    put_weights(network, outcome.best if recipe.training.keep == "best" else outcome.last)
    seconds = time.perf_counter() - began
    probabilities = predict_probabilities(
        network, dataset.test_images, dataset.mean, dataset.std, device=device
    )
    right = probabilities.argmax(axis=1) == dataset.test_labels.numpy()
    return ReachRun(
        seed=recipe.training.seed,
        seconds=seconds,
        epochs=len(outcome.history),
        workers=fit.workers.size,
        precision=fit.precision,
        validation_accuracy=outcome.history[-1]["validation_accuracy"],
        test_accuracy=float(right.mean()),
        test_correct=int(right.sum()),
    )


def _entry(name: str, changes: Sequence[str], runs: list[ReachRun]) -> ReachEntry:
    recipe = resolve(name, list(changes)).recipe
    return ReachEntry(
        fingerprint=fingerprint(recipe),
        parameters=count_parameters(network_for(recipe)),
        goal=recipe.constraints.min_accuracy or 0.0,
        runs=runs,
    )
