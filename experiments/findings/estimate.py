"""How long what is missing takes: each recipe's steps timed, by the processor's own time.

What another process takes of the machine does not count, so these are hours of an undisturbed
core; several processes at once share them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache

import torch

from findings.questions import Question, recipes_of
from findings.store import Store, best_rates, key_of, trial_recipe, tried_rates
from frontier.search import without_test
from kilonet.data.dataset import Dataset
from kilonet.recipe.describe import fingerprint, plain
from kilonet.recipe.load import parse_recipe
from kilonet.recipe.schema import Data, Recipe
from kilonet.training.device import choose_device, configure, threads_restored
from kilonet.training.fit import Fit
from kilonet.workflows.load import network_for
from kilonet.workflows.material import load_shown

IMAGES = 3_000  # that are timed, after as many steps to warm up as are needed
AROUND = 8.0  # seconds of a run that no epoch takes: test images, ONNX, report
TRIALS = 3  # of a rate, at least


def said(questions: Sequence[Question], store: Store, seeds: Sequence[int]) -> str:
    """Return a line a question: cells, runs and trials that are missing, and core seconds."""
    lines = [
        f"{'question':18s} {'cells':>5s} {'runs':>5s} {'trials':>6s} {'s a run':>8s} {'min':>6s}"
    ]
    counted: set[tuple[str, int]] = set()
    total = 0.0
    for question in questions:
        runs, trials = missing(question, store, seeds, counted)
        seconds = [epochs_seconds(recipe) + AROUND for recipe in runs]
        whole = sum(seconds) + sum(map(epochs_seconds, trials))
        total += whole
        mean = f"{sum(seconds) / len(seconds):8.0f}" if seconds else f"{'–':>8s}"
        figures = (
            f"{len(question.listed):5d} {len(runs):5d} {len(trials):6d} {mean} {whole / 60:6.0f}"
        )
        lines.append(f"{question.id:18s} {figures}")
    lines.append(
        f"In all {total / 3600:.1f} hours of one core; runs that questions share count once."
    )
    return "\n".join(lines)


def missing(
    question: Question, store: Store, seeds: Sequence[int], counted: set[tuple[str, int]]
) -> tuple[list[Recipe], list[Recipe]]:
    """Return the recipes of the runs, and of the trials of rates, that are not stored.

    What is in ``counted`` is left out, and what is returned is added to it. A rate that is not
    found yet is taken to be where its search begins.
    """
    stored = store.read(question.id)
    trials = _unseen(_trials(question, store), counted)
    begins = {cell.label: cell.rate for cell in question.listed if cell.rate is not None}
    plan = question.plan(best_rates(question, stored) or begins, seeds)
    runs = [recipe for recipe in recipes_of(plan) for _ in seeds]
    keys = [(fingerprint(recipe), seed) for recipe in recipes_of(plan) for seed in seeds]
    done = {run.key for each in store.everywhere() for run in (*each.runs, *each.failures)}
    wanted = [i for i, key in enumerate(keys) if key not in done | counted]
    counted |= set(keys)
    return [runs[i] for i in wanted], trials


def _trials(question: Question, store: Store) -> list[Recipe]:
    from findings.rates import next_rate

    stored, recipes = store.read(question.id), []
    for cell in question.listed:
        if cell.rate is None:
            continue
        tried = tried_rates(question, cell.label, stored)
        while len(tried) < TRIALS and (rate := next_rate(cell.rate, tried, TRIALS)) is not None:
            tried[rate] = 0.0
            recipes.append(trial_recipe(question, cell.label, rate))
    return recipes


def _unseen(recipes: Sequence[Recipe], counted: set[tuple[str, int]]) -> list[Recipe]:
    fresh = {key_of(recipe): recipe for recipe in recipes if key_of(recipe) not in counted}
    counted |= set(fresh)
    return list(fresh.values())


def epochs_seconds(recipe: Recipe) -> float:
    """Return the processor's seconds that all epochs of ``recipe`` take, training alone."""
    rateless = {"optimizer": recipe.optimizer.model_copy(update={"lr": 1e-4})}
    steps = {"epochs": 1, "stop_at_accuracy": None}
    training = recipe.training.model_copy(update=steps)
    same = recipe.model_copy(update=rateless | {"training": training})
    return recipe.training.epochs * _epoch_seconds(plain(same))


@cache
def _dataset(data: Data) -> Dataset:
    return load_shown(data, None, None)


@cache
def _epoch_seconds(toml: str) -> float:
    recipe = parse_recipe(toml, "a cell")
    device = choose_device("cpu")
    with threads_restored():
        configure(device, 1, False)
        material = without_test(_dataset(recipe.data), recipe)
        fit = Fit(network_for(recipe), material, recipe, device)
        changes, size = torch.Generator(), recipe.training.batch_size
        order = torch.arange(len(material.train))
        steps = max(2, IMAGES // size)
        fit.train_batch(order[:size], changes)
        began = time.process_time()
        for step in range(steps):
            fit.train_batch(order[step * size : (step + 1) * size], changes)
        spent = time.process_time() - began
    return spent / (steps * size) * len(order)
