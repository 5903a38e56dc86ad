"""The trials of a search, chosen by Optuna: the next values, early stopping, the best trial.

Only validation images decide. The store, an SQLite file in the study's directory, records the
trials; a trial that was interrupted is resumed under its number.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kilonet.errors import StudyError
from kilonet.runs.layout import Row
from kilonet.studies.coordinator import RunFailed, RunFinished, RunPruned
from kilonet.studies.grid import Dimension
from kilonet.studies.plan import RunJob

STUDY_NAME = "search"
_TRIALS_BEFORE_PRUNING = 5
_EPOCHS_BEFORE_PRUNING = 2


@dataclass(frozen=True)
class BestTrial:
    """The trial with the best validation accuracy, a fraction, and its overrides."""

    trial: int
    overrides: list[str]
    accuracy: float
    finished: int
    pruned: int

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        names = {"overrides": "words"}
        return {names.get(key, key): value for key, value in asdict(self).items()}


class OptunaTrials:
    """A queue of ``trials`` jobs with values from ``space``, stored in the file ``store``.

    ``job_of`` returns the job for a trial's number and overrides; ``score_of`` returns the
    validation accuracy of a finished run.

    Raises:
        StudyError: the store is damaged, or of another version of Optuna.
    """

    def __init__(
        self,
        store: Path,
        space: Sequence[Dimension],
        trials: int,
        seed: int,
        job_of: Callable[[int, list[str]], RunJob],
        score_of: Callable[[str], float],
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optuna: Any = optuna
        self._space = {dimension.key: _distribution(optuna, dimension) for dimension in space}
        self._trials = trials
        self._job_of = job_of
        self._score_of = score_of
        self._study = _open_store(optuna, store, seed)
        self._running: dict[str, Any] = {}
        self._best_so_far: dict[str, float] = {}
        self._reported: dict[str, int] = {}
        self._interrupted = deque(self._in_state("RUNNING"))

    def next_job(self) -> RunJob | None:
        """Return an interrupted trial, or a new one, or None after the last."""
        if self._interrupted:
            trial = self._resume(self._interrupted.popleft())
        elif len(self._study.get_trials(deepcopy=False)) < self._trials:
            trial = self._study.ask(self._space)
        else:
            return None
        job = self._job_of(trial.number, _overrides(trial.params))
        self._running[job.name] = trial
        return job

    def overrides_of(self, job: str) -> list[str]:
        """Return the overrides of a trial in progress."""
        return _overrides(self._running[job].params)

    def should_continue(self, job: str, row: Row) -> bool:
        """Return whether the trial is at least as good as the median of the others."""
        trial, accuracy = self._running[job], row["validation_accuracy"]
        best = max(accuracy, self._best_so_far.get(job, -math.inf))
        self._best_so_far[job] = best
        if row["epoch"] > self._reported.get(job, 0):  # a resumed run may repeat an epoch
            trial.report(best, int(row["epoch"]))
        return not trial.should_prune()

    def record(self, job: str, event: RunFinished | RunPruned | RunFailed) -> None:
        """Store how a trial ended."""
        trial, state = self._running.pop(job), self._optuna.trial.TrialState
        if isinstance(event, RunFinished):
            self._study.tell(trial, self._score_of(job))
        else:
            ended = state.PRUNED if isinstance(event, RunPruned) else state.FAIL
            self._study.tell(trial, state=ended)

    def best(self) -> BestTrial:
        """Return the trial with the best validation accuracy."""
        finished = self._in_state("COMPLETE")
        if not finished:
            raise StudyError("No trial was finished: all failed. Search other values.")
        best = self._study.best_trial
        pruned = len(self._in_state("PRUNED"))
        return BestTrial(best.number, _overrides(best.params), best.value, len(finished), pruned)

    def _in_state(self, name: str) -> list[Any]:
        states = (self._optuna.trial.TrialState[name],)
        return list(self._study.get_trials(deepcopy=False, states=states))

    def _resume(self, frozen: Any) -> Any:
        """Return the trial that was interrupted, with the accuracies it had reported."""
        trial = self._optuna.trial.Trial(self._study, frozen._trial_id)
        name = self._job_of(trial.number, _overrides(trial.params)).name
        self._best_so_far[name] = max(frozen.intermediate_values.values(), default=-math.inf)
        self._reported[name] = max(frozen.intermediate_values, default=0)
        return trial


def _open_store(optuna: Any, store: Path, seed: int) -> Any:
    sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    pruner = optuna.pruners.MedianPruner(_TRIALS_BEFORE_PRUNING, _EPOCHS_BEFORE_PRUNING)
    try:
        return optuna.create_study(
            storage=f"sqlite:///{store}",
            study_name=STUDY_NAME,
            direction="maximize",
            load_if_exists=True,
            sampler=sampler,
            pruner=pruner,
        )
    except Exception as error:  # SQLAlchemy, Alembic and Optuna have their own exceptions
        raise StudyError(
            f"The store {store} cannot be read: damaged, or of another version of Optuna than "
            f"{optuna.__version__} ({type(error).__name__}). The trials' runs beside it are "
            "intact; choose another --name for the search."
        ) from error


def _distribution(optuna: Any, dimension: Dimension) -> Any:
    kinds = optuna.distributions
    if dimension.kind == "choice":
        return kinds.CategoricalDistribution(dimension.choices)
    if dimension.kind == "int":
        return kinds.IntDistribution(int(dimension.low), int(dimension.high))
    return kinds.FloatDistribution(dimension.low, dimension.high, log=dimension.kind == "log")


def _overrides(params: dict[str, Any]) -> list[str]:
    """Return ``KEY=VALUE`` words; numbers are rounded to four digits."""
    return [
        f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in params.items()
    ]
