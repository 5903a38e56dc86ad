"""A search for the best values, by Optuna: which trial is next, which is given up, which won.

Decided by validation images alone. The store, an SQLite file in the study's directory, remembers
the trials; one that was under way when the search was stopped is gone on with under its number.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kilonet.errors import StudyError
from kilonet.runs.layout import Row
from kilonet.studies.places import Done, Failed, Pruned
from kilonet.studies.plan import Job
from kilonet.studies.space import Dimension

NAME = "search"
_WARM_UP_TRIALS = 5  # finished, before any is given up
_FIRST_VERDICT = 2  # the epoch from which one may be


@dataclass(frozen=True)
class Best:
    """The trial that did best on validation images, as overrides, and its accuracy there."""

    trial: int
    words: list[str]
    accuracy: float
    finished: int
    pruned: int


class Search:
    """The trials of a search as a source of jobs.

    ``job_of`` makes a job of a number and overrides; ``score_of`` tells of a finished run what it
    reached on validation images.

    Raises:
        StudyError: the store is damaged or of another version of Optuna.
    """

    def __init__(
        self,
        store: Path,
        space: Sequence[Dimension],
        trials: int,
        seed: int,
        job_of: Callable[[int, list[str]], Job],
        score_of: Callable[[str], float],
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optuna: Any = optuna
        self._space = {dimension.key: _distribution(optuna, dimension) for dimension in space}
        self._trials = trials
        self._job_of = job_of
        self._score_of = score_of
        self._study = _opened(optuna, store, seed)
        self._running: dict[str, Any] = {}
        self._best_so_far: dict[str, float] = {}
        self._reported: dict[str, int] = {}
        self._unfinished = deque(self._in_state("RUNNING"))

    def next(self) -> Job | None:
        """Return the trial that was under way, or a new one, or None after the last."""
        if self._unfinished:
            trial = self._again(self._unfinished.popleft())
        elif len(self._study.get_trials(deepcopy=False)) < self._trials:
            trial = self._study.ask(self._space)
        else:
            return None
        job = self._job_of(trial.number, _words(trial.params))
        self._running[job.name] = trial
        return job

    def words_of(self, job: str) -> list[str]:
        """Return the overrides of a trial that is under way."""
        return _words(self._running[job].params)

    def go_on(self, job: str, row: Row) -> bool:
        """Say whether the trial is worth another epoch: whether it is above the others' median."""
        trial, accuracy = self._running[job], row["validation_accuracy"]
        best = max(accuracy, self._best_so_far.get(job, -math.inf))
        self._best_so_far[job] = best
        if row["epoch"] > self._reported.get(job, 0):  # an epoch may be done again
            trial.report(best, int(row["epoch"]))
        return not trial.should_prune()

    def over(self, job: str, event: Done | Pruned | Failed) -> None:
        """Tell the store how a trial ended."""
        trial, state = self._running.pop(job), self._optuna.trial.TrialState
        if isinstance(event, Done):
            self._study.tell(trial, self._score_of(job))
        else:
            ended = state.PRUNED if isinstance(event, Pruned) else state.FAIL
            self._study.tell(trial, state=ended)

    def best(self) -> Best:
        """Return what won.

        Raises:
            StudyError: no trial was finished.
        """
        finished = self._in_state("COMPLETE")
        if not finished:
            raise StudyError("No trial was finished: each one failed. Search smaller values.")
        won = self._study.best_trial
        pruned = len(self._in_state("PRUNED"))
        return Best(won.number, _words(won.params), won.value, len(finished), pruned)

    def _in_state(self, name: str) -> list[Any]:
        states = (self._optuna.trial.TrialState[name],)
        return list(self._study.get_trials(deepcopy=False, states=states))

    def _again(self, frozen: Any) -> Any:
        """Return the trial that was under way, with what it had reported."""
        trial = self._optuna.trial.Trial(self._study, frozen._trial_id)
        name = self._job_of(trial.number, _words(trial.params)).name
        self._best_so_far[name] = max(frozen.intermediate_values.values(), default=-math.inf)
        self._reported[name] = max(frozen.intermediate_values, default=0)
        return trial


def _opened(optuna: Any, store: Path, seed: int) -> Any:
    sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    pruner = optuna.pruners.MedianPruner(_WARM_UP_TRIALS, _FIRST_VERDICT)
    try:
        return optuna.create_study(
            storage=f"sqlite:///{store}",
            study_name=NAME,
            direction="maximize",
            load_if_exists=True,
            sampler=sampler,
            pruner=pruner,
        )
    except Exception as error:  # SQLAlchemy, Alembic and Optuna each have their own
        raise StudyError(
            f"The store {store} cannot be read: damaged, or of another version of Optuna than "
            f"{optuna.__version__} ({type(error).__name__}). The trials' runs beside it are whole; "
            "give the search another --name."
        ) from error


def _distribution(optuna: Any, dimension: Dimension) -> Any:
    kinds = optuna.distributions
    if dimension.kind == "choice":
        return kinds.CategoricalDistribution(dimension.choices)
    if dimension.kind == "int":
        return kinds.IntDistribution(int(dimension.low), int(dimension.high))
    return kinds.FloatDistribution(dimension.low, dimension.high, log=dimension.kind == "log")


def _words(params: dict[str, Any]) -> list[str]:
    return [f"{key}={_text(value)}" for key, value in params.items()]


def _text(value: Any) -> str:
    """Write a value to four digits: more would only look exact."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
