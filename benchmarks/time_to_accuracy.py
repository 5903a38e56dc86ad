"""Time to accuracy of the ``fast`` recipes over many seeds.

The clock starts when PyTorch and the data set's files are loaded; it stops when the final weights
are there. Splitting, building the network, training and the evaluation on validation images after
each epoch are inside; the evaluation on test images comes after.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from benchmarks.entries import Settings
from benchmarks.results import Reach, ReachEntry, ReachRun, machine
from kilonet.data.dataset import load_dataset
from kilonet.evaluation.predict import predict_probabilities
from kilonet.models.measure import count_parameters
from kilonet.recipe.fingerprint import fingerprint
from kilonet.recipe.load import resolve
from kilonet.workflows.runs import network_for
from kilonet.workflows.session import open_session

RECIPES = ("fast-99", "fast-99.4")


def run(settings: Settings, seeds: Sequence[int]) -> Reach:
    """Train every recipe with every seed, in turn, and return the time and accuracy of each."""
    facts = machine(settings.quick)
    short = ["training.epochs=1"]
    changes = short if settings.quick else []
    for name in RECIPES:
        _timed(name, short, 0)  # a warm-up run, which is not counted
    runs: dict[str, list[ReachRun]] = {name: [] for name in RECIPES}
    for seed in seeds:
        for name in RECIPES:
            runs[name].append(_timed(name, changes, seed))
    return Reach(machine=facts, contestants={n: _entry(n, changes, runs[n]) for n in RECIPES})


def _timed(name: str, changes: Sequence[str], seed: int) -> ReachRun:
    resolved = resolve(name, [*changes, f"training.seed={seed}"])
    dataset = load_dataset(resolved.recipe.data.name)
    began = time.perf_counter()
    with open_session(resolved, dataset=dataset) as session:
        outcome, fit = session.run(), session.fit
        network = session.trained_network(outcome)
        seconds = time.perf_counter() - began
        probabilities = predict_probabilities(
            network, dataset.test_images, dataset.mean, dataset.std, device=fit.device
        )
    correct = probabilities.argmax(axis=1) == dataset.test_labels.numpy()
    return ReachRun(
        seed=seed,
        seconds=seconds,
        epochs=len(outcome.history),
        workers=1,
        precision=fit.precision,
        validation_accuracy=outcome.history[-1]["validation_accuracy"],
        test_accuracy=float(correct.mean()),
        test_correct=int(correct.sum()),
    )


def _entry(name: str, changes: Sequence[str], runs: list[ReachRun]) -> ReachEntry:
    recipe = resolve(name, list(changes)).recipe
    return ReachEntry(
        fingerprint=fingerprint(recipe),
        parameters=count_parameters(network_for(recipe)),
        goal=recipe.constraints.min_accuracy or 0.0,
        runs=runs,
    )
