"""Train a recipe into a run's directory, or go on with a run that was interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import nn

from kilonet.api.finish import finish
from kilonet.api.load import network_for
from kilonet.api.material import load_or_stand_in
from kilonet.api.overrides import as_overrides
from kilonet.api.run import Run, find_run
from kilonet.data.dataset import Dataset, load_dataset
from kilonet.errors import RecipeError
from kilonet.models.build import check_budget
from kilonet.recipe.catalog import DEFAULT_RECIPE
from kilonet.recipe.load import Resolved, resolve
from kilonet.recipe.schema import Recipe
from kilonet.runs import layout
from kilonet.runs.directory import RunDirectory, create_run
from kilonet.runs.environment import environment
from kilonet.training.device import choose_device, configure
from kilonet.training.fit import Fit, Outcome
from kilonet.training.material import prepare
from kilonet.training.progress import ConsoleReporter, Silent
from kilonet.training.seeding import derive
from kilonet.training.state import State, load_state, save_state


def train(
    recipe: str | Path = DEFAULT_RECIPE,
    *,
    overrides: Sequence[str] = (),
    data_dir: Path | None = None,
    out: Path | None = None,
    console: Console | None = None,
    **keywords: Any,
) -> Run:
    """Train ``recipe``, a shipped name or a ``.toml`` path, and return the finished run.

    ``overrides`` are words such as ``"optimizer.lr=0.05"``; keywords such as ``epochs=2`` do the
    same. ``out`` is the run's directory (default: the next free ``runs/RECIPE-N``). A ``console``
    shows progress; without one nothing is printed.

    Raises:
        UsageError, RecipeError: the recipe or an override is wrong, or over its budget.
        DataError: the data set cannot be had or is damaged.
        RunError: the run's directory cannot be written.
        TrainingError: the loss is no longer finite; the run can be resumed or looked at.
    """
    resolved = resolve(recipe, [*overrides, *as_overrides(keywords)])
    device = choose_device(resolved.recipe.training.device)
    resolved, dataset, note = load_or_stand_in(resolved, data_dir, progress=console is not None)
    model = _fresh_network(resolved.name, resolved.recipe, dataset)
    threads = configure(
        device, resolved.recipe.training.threads, resolved.recipe.training.deterministic
    )
    facts = {"data_note": note, "environment": environment(str(device), threads)}
    run = create_run(resolved, facts, out)
    if console is not None:
        _announce(console, run, resolved, dataset, model, note)
    return _fit_and_finish(run, model, dataset, device, console, state=None)


def resume(
    source: str | Path | Run,
    *,
    data_dir: Path | None = None,
    console: Console | None = None,
    model: str | None = None,
) -> Run:
    """Go on with a run where its last whole epoch ended, and return it finished.

    It ends in the same bits as an undisturbed run, on the same machine with the same number of
    threads, which are set as recorded. ``model`` names the run's own class where it has one.

    Raises:
        UsageError: there is no such run.
        RunError, CheckpointError: it is in use, finished, damaged, or of another format.
    """
    run = find_run(source).directory
    if run.finished:
        return Run(run)
    recipe = run.recipe()
    device = choose_device(str(run.facts["environment"]["device"]))
    threads = int(run.facts["environment"]["threads"])
    configure(device, threads, recipe.training.deterministic)
    dataset = load_dataset(recipe.data.name, data_dir, progress=console is not None)
    torch.manual_seed(derive(recipe.training.seed, "weights"))
    network = network_for(recipe, dataset, run, trusted=model)
    state = load_state(run.file(layout.STATE)) if run.file(layout.STATE).exists() else None
    if console is not None:
        done = len(state["history"]) if state is not None else 0
        console.print(f"Going on with {run.path} after {done} epochs.")
    return _fit_and_finish(run, network, dataset, device, console, state)


def _fresh_network(name: str, recipe: Recipe, dataset: Dataset) -> nn.Module:
    torch.manual_seed(derive(recipe.training.seed, "weights"))
    model = network_for(recipe, dataset)
    check_budget(model, recipe, name)
    if not list(model.parameters()):
        raise RecipeError(f"{name}: the network has no parameters, so there is nothing to train.")
    return model


def _announce(
    console: Console,
    run: RunDirectory,
    resolved: Resolved,
    dataset: Dataset,
    model: nn.Module,
    note: str | None,
) -> None:
    if note:
        console.print(f"[bold yellow]Note:[/] {note}", soft_wrap=True)
    parameters = check_budget(model, resolved.recipe, resolved.name)
    facts = run.facts["environment"]
    console.print(
        f"[bold]{resolved.name}[/]: {parameters:,} parameters on {dataset.title}, "
        f"{facts['device']} with {facts['threads']} threads; run [bold]{run.path}[/]",
        soft_wrap=True,
        highlight=False,
    )


def _fit_and_finish(
    run: RunDirectory,
    model: nn.Module,
    dataset: Dataset,
    device: torch.device,
    console: Console | None,
    state: State | None,
) -> Run:
    with run.locked():
        recipe = run.recipe()
        material = prepare(dataset, recipe.data.validation, recipe.training.seed, device)
        fit = Fit(model, material, recipe, device)
        if state is not None:
            fit.restore(state)
        outcome = _run(fit, run, console)
        return Run(finish(run, fit.model, outcome, dataset, device))


def _run(fit: Fit, run: RunDirectory, console: Console | None) -> Outcome:
    def save(state: State) -> None:
        save_state(run.file(layout.STATE), state)
        run.write_history(state["history"])

    if console is None:
        return fit.run(save, Silent())
    with ConsoleReporter(console) as reporter:
        return fit.run(save, reporter)
