"""Search the values of some recipe keys that reach the best validation accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kilonet.errors import UsageError
from kilonet.extras import require
from kilonet.progress import Reporter
from kilonet.recipe.catalog import DEFAULT_RECIPE
from kilonet.recipe.fingerprint import to_toml
from kilonet.recipe.keys import as_overrides
from kilonet.recipe.load import parse_recipe, resolve
from kilonet.studies.coordinator import (
    Coordinator,
    Report,
    RunEvent,
    RunFailed,
    RunFinished,
    RunPruned,
    WorkerSilent,
)
from kilonet.studies.directory import STORE, StudyDirectory, open_study
from kilonet.studies.grid import Dimension, parse_space
from kilonet.studies.plan import RunJob, StudyPlan, StudyRequest, parse_request, pin_threads
from kilonet.studies.study import ExecutorName, open_executor, resolve_plan, resumable
from kilonet.studies.trials import BestTrial, OptunaTrials

TRIALS = 20
_MAX_NAME_LENGTH = 120


def search(
    recipe: str | Path = DEFAULT_RECIPE,
    *,
    space: Sequence[str],
    trials: int = TRIALS,
    overrides: Sequence[str] = (),
    name: str | Path | None = None,
    jobs: int | None = None,
    on: ExecutorName = "local",
    address: str = "auto",
    data_dir: str | Path | None = None,
    reporter: Reporter | None = None,
    **keywords: Any,
) -> BestTrial:
    """Return the best of ``trials`` values from ``space``, such as ``"optimizer.lr=log(1e-4,1)"``.

    All trials use the recipe's own seed, and only validation images decide. A trial that is worse
    than the median of the others is stopped early (not on a cluster). The same call resumes a
    search that was stopped; with more ``trials`` it extends the search. The other arguments are
    those of ``study``.

    Raises:
        UsageError, RecipeError: an argument is wrong.
        DataError: the data set cannot be loaded.
        StudyError: the search is in use, its store is damaged, or no trial was finished.
        Stopped: Ctrl-C.
    """
    require("train")
    require("study")
    reporter = reporter or Reporter()
    dimensions = parse_space(space)
    if trials < 1:
        raise UsageError(f"--trials must be at least 1, not {trials}.")
    all_overrides = [*overrides, *as_overrides(keywords)]
    if name is None:
        name = _default_name(recipe, dimensions)
    request = parse_request(recipe, (), 1, all_overrides, None, name)
    _check_space(request, dimensions)
    with open_executor(request, on, address, jobs, data_dir, trials=trials) as executor:
        plan = _search_plan(resolve_plan(request, data_dir, reporter), dimensions)
        with open_study(request.path, plan) as directory, resumable(directory.path):
            queue = _open_trials(request, directory, dimensions, trials)
            Coordinator(queue, executor, _trial_messages(queue, directory, reporter)).run()
            return queue.best()


def _trial_messages(trials: OptunaTrials, directory: StudyDirectory, reporter: Reporter) -> Report:
    """Return a function that reports how each trial ends, with the values it tried."""

    def report(event: RunEvent) -> None:
        if isinstance(event, RunFinished):
            text = f"{_score(directory, event.job):.2%} on validation images"
        elif isinstance(event, RunPruned):
            text = "stopped early, worse than the median of the other trials"
        elif isinstance(event, RunFailed | WorkerSilent):
            text = event.message
        else:
            text = f"lost its worker ({event.reason}) and is started again"
        values = ", ".join(trials.overrides_of(event.job))
        reporter.message(f"{event.job} ({values}): {text}")

    return report


def _default_name(recipe: str | Path, dimensions: Sequence[Dimension]) -> str:
    keys = [each.key for each in dimensions]
    return "-".join([Path(recipe).stem, "search", *keys])[:_MAX_NAME_LENGTH]


def _check_space(request: StudyRequest, dimensions: Sequence[Dimension]) -> None:
    """Resolve the recipe with the extreme values of each range, to report mistakes early."""
    for each in dimensions:
        for value in each.extremes():
            resolved = resolve(request.recipe, [*request.overrides, f"{each.key}={value}"])
            if resolved.recipe.data.validation == 0:
                raise UsageError(
                    "A search needs validation images, but data.validation is 0. Hold some "
                    "images out: data.validation=0.1"
                )


def _search_plan(plan: StudyPlan, dimensions: Sequence[Dimension]) -> StudyPlan:
    space = {"space": [each.to_json() for each in dimensions]}
    return StudyPlan(plan.recipe, plan.cells, [], search=space)


def _open_trials(
    request: StudyRequest, directory: StudyDirectory, dimensions: Sequence[Dimension], trials: int
) -> OptunaTrials:
    base = parse_recipe(directory.plan.cells[0].toml, "the study's plan")

    def job_of(number: int, overrides: list[str]) -> RunJob:
        recipe = resolve(request.recipe, [*request.overrides, *overrides]).recipe
        data = recipe.data.model_copy(update={"name": base.data.name})
        recipe = pin_threads(recipe.model_copy(update={"data": data}))
        return RunJob(f"trial-{number}", directory.plan.recipe, to_toml(recipe), prunable=True)

    return OptunaTrials(
        directory.file(STORE),
        dimensions,
        trials,
        base.training.seed,
        job_of,
        lambda job: _score(directory, job),
    )


def _score(directory: StudyDirectory, job: str) -> float:
    """Return the validation accuracy of the weights that a finished run keeps."""
    run = directory.finished(job)
    assert run is not None, job
    accuracies = [row["validation_accuracy"] for row in run.history()]
    return accuracies[-1] if run.recipe().training.keep == "last" else max(accuracies)
