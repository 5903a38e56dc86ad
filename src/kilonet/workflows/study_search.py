"""Searches: the values of some keys that do best on validation images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kilonet.errors import UsageError
from kilonet.extras import require
from kilonet.progress import Reporter, Silent
from kilonet.recipe.catalog import DEFAULT_RECIPE
from kilonet.recipe.describe import plain
from kilonet.recipe.load import parse_recipe, resolve
from kilonet.recipe.schema import Recipe
from kilonet.runs.layout import Row
from kilonet.studies.coordinator import Coordinator
from kilonet.studies.directory import STORE, StudyDirectory, opened
from kilonet.studies.plan import Job, Plan, settled
from kilonet.studies.search import Best, Search
from kilonet.studies.space import Dimension, parse_space
from kilonet.workflows.overrides import as_overrides
from kilonet.workflows.study import On, places, stopped_kindly
from kilonet.workflows.study_plan import Asked, ask, settle

TRIALS = 20


def search(
    recipe: str | Path = DEFAULT_RECIPE,
    *,
    space: Sequence[str],
    trials: int = TRIALS,
    overrides: Sequence[str] = (),
    name: str | Path | None = None,
    jobs: int | None = None,
    on: On = "local",
    address: str = "auto",
    data_dir: str | Path | None = None,
    reporter: Reporter | None = None,
    **keywords: Any,
) -> Best:
    """Return the best of ``trials`` values from ``space``, such as ``"optimizer.lr=log(1e-4,1)"``.

    All trials have the recipe's own seed, and are decided by validation images alone; those that
    fall behind the others' median are given up (not on a cluster). The same call goes on where an
    earlier one stopped, with more ``trials`` further.

    Raises:
        UsageError, RecipeError: something asked for is wrong.
        DataError: the data set cannot be had.
        StudyError: the search is in use, its store damaged, or no trial was finished.
        StudyStopped: Ctrl-C.
    """
    require("train")
    require("study")
    dimensions = parse_space(space)
    if trials < 1:
        raise UsageError(f"--trials must be at least 1, not {trials}.")
    words = [*overrides, *as_overrides(keywords)]
    called = name if name is not None else _name(recipe, dimensions)
    asked = ask(recipe, (), 1, words, None, called)
    _try_ends(asked, dimensions)
    where = Path(data_dir) if data_dir is not None else None
    with places(asked, on, address, jobs, where, left=trials) as place:
        plan = _plan(settle(asked, where, reporter), dimensions)
        with opened(asked.path, plan) as directory, stopped_kindly(directory.path):
            source = _source(asked, directory, dimensions, trials)
            Coordinator(source, place, TrialsWatcher(source, directory, reporter or Silent())).run()
            return source.best()


class TrialsWatcher:
    """Prints a line a trial, what it tried and what it reached on validation images."""

    def __init__(self, source: Search, directory: StudyDirectory, reporter: Reporter) -> None:
        self._source = source
        self._directory = directory
        self._reporter = reporter

    def began(self, job: str) -> None:
        """Say nothing."""

    def epoch(self, job: str, row: Row) -> None:
        """Say nothing."""

    def done(self, job: str) -> None:
        """Say what a trial reached."""
        self._say(job, f"{_score(self._directory, job):.2%} on validation images")

    def pruned(self, job: str) -> None:
        """Say that a trial was given up."""
        self._say(job, "given up, behind the others")

    def failed(self, job: str, message: str) -> None:
        """Say why a trial was not finished."""
        self._say(job, message)

    def lost(self, job: str, reason: str) -> None:
        """Say that a trial is made again."""
        self._say(job, f"lost its worker ({reason}) and is made again")

    def _say(self, job: str, what: str) -> None:
        self._reporter.message(f"{job} ({', '.join(self._source.words_of(job))}): {what}")


def _name(recipe: str | Path, dimensions: Sequence[Dimension]) -> str:
    return "-".join([Path(recipe).stem, "search", *(each.key for each in dimensions)])[:120]


def _try_ends(asked: Asked, dimensions: Sequence[Dimension]) -> None:
    """Resolve the recipe with the ends of each range: what is wrong with them is said now.

    Raises:
        UsageError, RecipeError: a key or an end of a range is wrong.
    """
    for each in dimensions:
        ends = each.choices or tuple(
            str(int(end) if each.kind == "int" else end) for end in (each.low, each.high)
        )
        for end in ends:
            tried = resolve(asked.recipe, [*asked.words, f"{each.key}={end}"])
            if tried.recipe.data.validation == 0:
                raise UsageError(
                    "A search decides by validation images, but data.validation is 0. Hold some "
                    "back: data.validation=0.1"
                )


def _plan(plan: Plan, dimensions: Sequence[Dimension]) -> Plan:
    space = {"space": [each.to_json() for each in dimensions]}
    return Plan(plan.recipe, plan.cells, [], search=space)


def _source(
    asked: Asked, directory: StudyDirectory, dimensions: Sequence[Dimension], trials: int
) -> Search:
    base = parse_recipe(directory.plan.cells[0].toml, "the study's plan")

    def job_of(number: int, words: list[str]) -> Job:
        tried = resolve(asked.recipe, [*asked.words, *words]).recipe
        recipe = settled(tried.model_copy(update={"data": _data(tried, base)}))
        return Job(f"trial-{number}", directory.plan.recipe, plain(recipe), asks=True)

    return Search(
        directory.file(STORE),
        dimensions,
        trials,
        base.training.seed,
        job_of,
        lambda job: _score(directory, job),
    )


def _data(tried: Recipe, base: Recipe) -> Any:
    """Return the section [data] of a trial, with the data set that is really used."""
    return tried.data.model_copy(update={"name": base.data.name})


def _score(directory: StudyDirectory, job: str) -> float:
    """Return the validation accuracy of the weights that a finished run keeps."""
    run = directory.finished(job)
    assert run is not None, job
    accuracies = [row["validation_accuracy"] for row in run.history()]
    return accuracies[-1] if run.recipe().training.keep == "last" else max(accuracies)
