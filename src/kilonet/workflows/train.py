"""Train a recipe into a run's directory, or go on with a run that was interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kilonet.data.dataset import Dataset
from kilonet.data.describe import settled
from kilonet.errors import CheckpointError
from kilonet.extras import require
from kilonet.models.build import check_budget
from kilonet.progress import Reporter, Silent
from kilonet.recipe.catalog import DEFAULT_RECIPE
from kilonet.recipe.load import resolve
from kilonet.recipe.schema import Recipe
from kilonet.report.tensorboard import Events, events_of, require_events
from kilonet.runs import layout
from kilonet.runs.directory import RunDirectory, create_run, require_free
from kilonet.runs.environment import environment
from kilonet.runs.find import open_run
from kilonet.training.augmenting import augmentation_in
from kilonet.training.device import choose_device, configure, same_threads_after
from kilonet.training.fit import Fit, Outcome
from kilonet.training.kernels import choose_kernels
from kilonet.training.material import prepare
from kilonet.training.precision import choose_precision
from kilonet.training.seeding import derive
from kilonet.training.state import State, load_state, save_state
from kilonet.workflows.finish import finish
from kilonet.workflows.guard import kept, not_begun
from kilonet.workflows.load import network_for, network_of
from kilonet.workflows.material import load_again, load_or_stand_in
from kilonet.workflows.overrides import as_overrides
from kilonet.workflows.profile import Watch
from kilonet.workflows.run import Run, find_run
from kilonet.workflows.teachers import teachers_of
from kilonet.workflows.team import Team, fit_with, gather


def train(
    recipe: str | Path = DEFAULT_RECIPE,
    *,
    overrides: Sequence[str] = (),
    data_dir: str | Path | None = None,
    out: str | Path | None = None,
    profile: bool = False,
    reporter: Reporter | None = None,
    **keywords: Any,
) -> Run:
    """Train ``recipe``, a shipped name or a ``.toml`` path, and return the finished run.

    ``overrides`` are words such as ``"optimizer.lr=0.05"``; keywords such as ``epochs=2`` do the
    same. ``out`` is the run's directory (default: the next free ``runs/RECIPE-N``). ``reporter``
    gets messages and progress. With ``profile`` the returned run says where the time went.

    Raises:
        UsageError, RecipeError: the recipe or an override is wrong, or over its budget. There is
            no run then, and nothing was downloaded.
        MissingExtraError: a package that training, or its log, needs is not installed. There is no
            run then.
        DataError: the data set cannot be had or is damaged. There is no run then.
        RunError: the run's directory cannot be written.
        TrainingError: the loss is no longer finite; the run can be looked at.
        Interrupted: Ctrl-C; the run can be resumed.
    """
    require("train")
    reporter = reporter or Silent()
    resolved = resolve(recipe, [*overrides, *as_overrides(keywords)])
    require_events(resolved.recipe)
    device = choose_device(resolved.recipe.training.device)
    resolved = replace(resolved, recipe=_settled(resolved.recipe, device))
    if out is not None:
        require_free(Path(out))
    model = _fresh(resolved.recipe)
    parameters = check_budget(model, resolved.recipe, resolved.name)
    training = resolved.recipe.training
    with same_threads_after(), gather(resolved.recipe, device) as team:
        resolved, dataset, note = load_or_stand_in(resolved, _path(data_dir), reporter)
        configure(device, training.threads, training.deterministic)
        with not_begun():
            fit = _fit(model, resolved.recipe, dataset, device, team)
        facts = {
            "data_note": note,
            "parameters": parameters,
            "environment": _environment(fit),
            layout.DATA: dataset.traits.to_json(),
        }
        run = create_run(replace(resolved, recipe=fit.recipe), facts, _path(out))
        _announce(reporter, run, dataset)
        with kept(run), run.locked():
            return _run_and_finish(fit, run, dataset, team, reporter, profile)


def resume(
    source: str | Path | Run,
    *,
    data_dir: str | Path | None = None,
    profile: bool = False,
    model: str | None = None,
    reporter: Reporter | None = None,
) -> Run:
    """Go on with a run where its last whole epoch ended, and return it finished.

    It ends in the same bits as an undisturbed run, on the same machine with the same number of
    threads, which are set as recorded. ``model`` names the run's own class where it has one. A run
    that has finished is returned as it is.

    Raises:
        UsageError: there is no such run.
        RunError, CheckpointError: it is in use, damaged, or of another format.
    """
    require("train")
    reporter = reporter or Silent()
    run = find_run(source).directory
    with kept(run), run.locked():
        run = open_run(run.path)  # what it says may have changed before it was locked
        if run.finished:
            reporter.message(f"{run.path} has finished already: nothing is left to train.")
            return Run(run)
        device = choose_device(run.facts["environment"]["device"])
        threads = int(run.facts["environment"]["threads"])
        recipe = _with_threads(run.recipe(), threads)
        require_events(recipe)
        _seed_weights(recipe)
        network = network_of(run, recipe, trusted=model)
        with same_threads_after(), gather(recipe, device, resumed=True) as team:
            configure(device, threads, recipe.training.deterministic)
            dataset = load_again(Run(run), _path(data_dir), reporter)
            fit = _fit(network, recipe, dataset, device, team)
            _restore(fit, run.file(layout.STATE))
            reporter.message(f"Going on with {run.path} after {len(fit.history)} epochs.")
            return _run_and_finish(fit, run, dataset, team, reporter, profile)


def _restore(fit: Fit, path: Path) -> None:
    """Go back to the state in ``path``; without one no epoch was completed, and all start anew."""
    if not path.exists():
        return
    state = load_state(path)
    try:
        fit.restore(state)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _path(given: str | Path | None) -> Path | None:
    return Path(given) if given is not None else None


def _settled(recipe: Recipe, device: torch.device) -> Recipe:
    """Return ``recipe`` with the arithmetic, kernels and data that it is really trained with."""
    asked = recipe.training
    kernels = choose_kernels(asked.kernels, device)
    precision = choose_precision(asked.precision, device, kernels)
    training = asked.model_copy(update={"kernels": kernels, "precision": precision})
    return recipe.model_copy(update={"training": training, "data": settled(recipe.data)})


def _with_threads(recipe: Recipe, threads: int) -> Recipe:
    """Return ``recipe`` with the threads that each worker of a run has: others round otherwise."""
    training = recipe.training.model_copy(update={"threads": threads})
    return recipe.model_copy(update={"training": training})


def _fresh(recipe: Recipe) -> nn.Module:
    _seed_weights(recipe)
    return network_for(recipe)


def _seed_weights(recipe: Recipe) -> None:
    torch.manual_seed(derive(recipe.training.seed, "weights"))


def _fit(
    model: nn.Module,
    recipe: Recipe,
    dataset: Dataset,
    device: torch.device,
    team: Team,
) -> Fit:
    material = prepare(dataset, recipe.data.validation, recipe.training.seed, device)
    material = replace(material, teachers=teachers_of(recipe)).to(device)
    # An augmentation that these images are too small for is refused here, not in mid-run.
    augmentation_in(1, recipe)(material.train.images[:1], torch.Generator())
    return fit_with(team, model, material, recipe, device)


def _environment(fit: Fit) -> dict[str, str]:
    facts = environment(str(fit.device), torch.get_num_threads())
    return facts | {
        "workers": str(fit.workers.size),
        "precision": fit.precision,
        "kernels": fit.kernels,
    }


def _announce(reporter: Reporter, run: RunDirectory, dataset: Dataset) -> None:
    facts, machine = run.facts, run.facts["environment"]
    if facts["data_note"]:
        reporter.message(f"Note: {facts['data_note']}")
    reporter.message(
        f"{facts['recipe']}: {facts['parameters']:,} parameters on {dataset.title}, "
        f"{machine['device']} with {_forces(machine)}; run {run.path}"
    )


def _forces(machine: dict[str, str]) -> str:
    """Return what computes, such as "2 workers of 1 thread each in bfloat16"."""
    threads = "1 thread" if machine["threads"] == "1" else f"{machine['threads']} threads"
    alone = machine["workers"] == "1"
    forces = threads if alone else f"{machine['workers']} workers of {threads} each"
    return forces + (" in bfloat16" if machine["precision"] == "bfloat16" else "")


def _run_and_finish(
    fit: Fit,
    run: RunDirectory,
    dataset: Dataset,
    team: Team,
    reporter: Reporter,
    profile: bool,
) -> Run:
    watch = Watch(fit) if profile else None
    with events_of(fit.recipe, run.file(layout.EVENTS), fit.history) as events:
        with team.watched():
            outcome = _run(fit, run, reporter, events)
        team.close()  # the rest takes one, and measuring takes an idle machine
        measured = watch.read() if watch is not None else None
        finished = finish(run, fit.model, outcome, dataset, fit.device, events)
        return Run(finished, profile=measured)


def _run(fit: Fit, run: RunDirectory, reporter: Reporter, events: Events | None) -> Outcome:
    def save(state: State) -> None:
        save_state(run.file(layout.STATE), state)
        run.write_history(state["history"])
        if events is not None:
            events.update(state["history"])

    return fit.run(save, reporter)
