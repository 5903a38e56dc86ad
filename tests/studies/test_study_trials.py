"""Optuna's trials as jobs: the next trial, early stopping, resuming a stopped search."""

from __future__ import annotations

from pathlib import Path

import pytest

from kilonet.errors import StudyError
from kilonet.studies.coordinator import RunFailed, RunFinished, RunPruned
from kilonet.studies.grid import parse_space
from kilonet.studies.plan import RunJob
from kilonet.studies.trials import OptunaTrials

SPACE = parse_space(["optimizer.lr=log(1e-4,1)"])


class Trials:
    """A search whose accuracy is a function of the learning rate, with its maximum at 0.01."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.rates: dict[str, float] = {}

    def search(self, trials: int) -> OptunaTrials:
        return OptunaTrials(self.store, SPACE, trials, 0, self._job, self.score)

    def _job(self, number: int, words: list[str]) -> RunJob:
        name = f"trial-{number}"
        self.rates[name] = float(words[0].removeprefix("optimizer.lr="))
        return RunJob(name, "quick", "", prunable=True)

    def score(self, job: str) -> float:
        rate = self.rates[job]
        return 0.9 * min(rate, 0.01) / max(rate, 0.01)

    def run_all(self, search: OptunaTrials) -> list[str]:
        names = []
        while (job := search.next_job()) is not None:
            names.append(job.name)
            row = {"epoch": 1.0, "validation_accuracy": self.score(job.name)}
            assert search.should_continue(job.name, row)  # never after one epoch
            search.record(job.name, RunFinished(job.name))
        return names


@pytest.fixture
def trials(tmp_path: Path) -> Trials:
    return Trials(tmp_path / "store.sqlite3")


def test_the_best_trial_is_found_and_stored(trials: Trials) -> None:
    assert trials.run_all(trials.search(12)) == [f"trial-{number}" for number in range(12)]
    best = trials.search(12).best()
    assert best.accuracy == max(trials.score(f"trial-{number}") for number in range(12))
    assert best.overrides == [f"optimizer.lr={trials.rates[f'trial-{best.trial}']:.4g}"]
    assert trials.search(12).next_job() is None
    assert trials.run_all(trials.search(14)) == ["trial-12", "trial-13"]


def test_an_interrupted_trial_is_resumed(trials: Trials) -> None:
    search = trials.search(3)
    first = search.next_job()
    assert first is not None
    search.should_continue(first.name, {"epoch": 1.0, "validation_accuracy": 0.5})
    rate = trials.rates[first.name]
    assert trials.run_all(trials.search(3)) == ["trial-0", "trial-1", "trial-2"]
    assert trials.rates["trial-0"] == rate


def test_a_trial_below_the_median_is_stopped(trials: Trials) -> None:
    search = trials.search(8)
    for accuracy in (0.9, 0.91, 0.92, 0.93, 0.94):
        job = search.next_job()
        assert job is not None
        for epoch in (1.0, 2.0, 3.0):
            assert search.should_continue(
                job.name, {"epoch": epoch, "validation_accuracy": accuracy}
            )
        search.record(job.name, RunFinished(job.name))
    job = search.next_job()
    assert job is not None
    verdicts = [
        search.should_continue(job.name, {"epoch": epoch, "validation_accuracy": 0.2})
        for epoch in (1.0, 2.0)
    ]
    assert verdicts[-1] is False
    search.record(job.name, RunPruned(job.name))
    assert (search.best().finished, search.best().pruned) == (5, 1)


def test_a_search_in_which_every_trial_fails(trials: Trials) -> None:
    search = trials.search(1)
    job = search.next_job()
    assert job is not None
    search.record(job.name, RunFailed(job.name, "diverged", fatal=False))
    assert search.next_job() is None
    with pytest.raises(StudyError, match="No trial was finished"):
        search.best()


def test_a_damaged_store(trials: Trials) -> None:
    trials.store.write_bytes(b"nonsense" * 200)
    with pytest.raises(StudyError, match=r"cannot be read: damaged, or of another version"):
        trials.search(1)
