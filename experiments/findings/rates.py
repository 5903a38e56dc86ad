"""The search for a learning rate: up and down a ladder of rates, by validation images alone."""

from __future__ import annotations

import time

import torch

from findings.ladder import neighbour
from findings.questions import Listed, Question
from findings.store import Store, Trial, best, is_found, key_of, trial_recipe, tried_rates
from frontier.search import without_test
from kilonet.errors import TrainingError
from kilonet.progress import Silent
from kilonet.recipe.schema import Recipe
from kilonet.training.device import choose_device, configure, threads_restored
from kilonet.training.fit import Fit
from kilonet.training.seeding import derive
from kilonet.workflows.load import network_for
from kilonet.workflows.material import load_shown


def next_rate(start: float, tried: dict[float, float], most: int) -> float | None:
    """Return what to try next: three rates around ``start``, then on past the end that is best."""
    for by in (0, -1, 1):
        if neighbour(start, by) not in tried:
            return neighbour(start, by)
    if is_found(tried, most):
        return None
    return neighbour(best(tried), 1 if best(tried) == max(tried) else -1)


def search(question: Question, cell: Listed, store: Store) -> None:
    """Try rates for ``cell`` until one has a worse one on either side, storing each."""
    assert cell.rate is not None
    most = question.search.trials
    while True:
        tried = tried_rates(question, cell.label, store.read(question.id))
        rate = next_rate(cell.rate, tried, most)
        if rate is None:
            return
        recipe = trial_recipe(question, cell.label, rate)
        if store.trial(question.id, key_of(recipe)) is None:
            found = attempt(recipe, rate)
            store.add(question.id, found)
            said = f"{found.validation_accuracy:.2%} on validation images"
            print(f"{question.id}, {cell.label}, rate {rate:g}: {said}", flush=True)


def attempt(recipe: Recipe, rate: float) -> Trial:
    """Train ``recipe`` and return what it reached; nothing of the test images is looked at."""
    fingerprint, seed = key_of(recipe)
    began = time.perf_counter()
    try:
        reached = _trained(recipe)
    except TrainingError:
        reached = 0.0
    seconds = round(time.perf_counter() - began, 1)
    return Trial(
        fingerprint=fingerprint,
        seed=seed,
        rate=rate,
        validation_accuracy=round(reached, 6),
        seconds=seconds,
    )


def _trained(recipe: Recipe) -> float:
    device = choose_device(recipe.training.device)
    dataset = load_shown(recipe.data, None, None)
    with threads_restored():
        configure(device, recipe.training.threads or 1, recipe.training.deterministic)
        torch.manual_seed(derive(recipe.training.seed, "weights"))
        network = network_for(recipe)
        fit = Fit(network, without_test(dataset, recipe), recipe, device)
        history = fit.run(lambda _: None, Silent()).history
    return max(row["validation_accuracy"] for row in history)
