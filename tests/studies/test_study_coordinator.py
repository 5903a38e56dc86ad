"""The coordinator's loop, with an executor whose events are scripted."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import pytest

from kilonet.errors import StudyError
from kilonet.studies.coordinator import (
    MAX_ATTEMPTS,
    Coordinator,
    EpochFinished,
    Event,
    FixedJobs,
    RunFailed,
    RunFinished,
    RunLost,
)
from kilonet.studies.plan import RunJob


class ScriptedExecutor:
    """An executor of two slots; ``script`` has a list of events for each attempt of each job."""

    slots = 2

    def __init__(self, script: dict[str, list[list[Event]]]) -> None:
        self.script = script
        self.submitted: list[str] = []
        self.replies: list[tuple[str, bool]] = []
        self.in_progress = self.most = 0
        self._events: deque[Event] = deque()

    def warm_up(self, workers: int) -> None:
        """Do nothing."""

    def submit(self, job: RunJob) -> None:
        self.submitted.append(job.name)
        self.in_progress += 1
        self.most = max(self.most, self.in_progress)
        self._events += self.script[job.name].pop(0)

    def reply(self, job: str, proceed: bool) -> None:
        self.replies.append((job, proceed))

    def wait(self, seconds: float) -> Sequence[Event]:
        event = self._events.popleft()
        self.in_progress -= not isinstance(event, EpochFinished)
        return [event]

    def close(self) -> None:
        """Do nothing."""


def jobs_of(names: Sequence[str]) -> list[RunJob]:
    return [RunJob(name, "quick", "") for name in names]


def run(
    script: dict[str, list[list[Event]]],
) -> tuple[ScriptedExecutor, list[Event], dict[str, str]]:
    """Return the executor, the reported events, and the failures."""
    executor, events = ScriptedExecutor(script), list[Event]()
    failures = Coordinator(FixedJobs(jobs_of([*script])), executor, events.append).run()
    return executor, events, failures


def test_each_job_once_no_more_at_a_time_than_there_are_slots() -> None:
    names = [f"r{number}" for number in range(7)]
    executor, events, failures = run(
        {name: [[EpochFinished(name, {"epoch": 1}), RunFinished(name)]] for name in names}
    )
    assert executor.submitted == names
    assert executor.most == 2
    assert executor.replies == []
    assert events == [RunFinished(name) for name in names]
    assert failures == {}


def test_after_start_is_called_when_the_first_runs_are_submitted() -> None:
    executor = ScriptedExecutor({name: [[RunFinished(name)]] for name in "abc"})
    seen: list[list[str]] = []
    coordinator = Coordinator(FixedJobs(jobs_of("abc")), executor, lambda _: None)
    coordinator.run(lambda: seen.append([*executor.submitted]))
    assert seen == [["a", "b"]]
    assert executor.submitted == ["a", "b", "c"]


def test_a_lost_run_is_repeated_first() -> None:
    executor, events, _ = run(
        {"a": [[RunLost("a", "gone")], [RunFinished("a")]], "b": [[RunFinished("b")]]}
    )
    assert executor.submitted == ["a", "b", "a"]
    assert events == [RunLost("a", "gone"), RunFinished("b"), RunFinished("a")]


def test_a_run_is_not_repeated_for_ever() -> None:
    with pytest.raises(StudyError, match=f"a lost its worker {MAX_ATTEMPTS} times"):
        run({"a": [[RunLost("a", "gone")]] * MAX_ATTEMPTS})


def test_the_study_continues_without_a_run_that_diverges() -> None:
    executor, events, failures = run(
        {"a": [[RunFailed("a", "diverged", False)]], "b": [[RunFinished("b")]]}
    )
    assert executor.submitted == ["a", "b"]
    assert events == [RunFailed("a", "diverged", False), RunFinished("b")]
    assert failures == {"a": "diverged"}


def test_a_failure_of_all_runs_ends_the_study() -> None:
    with pytest.raises(StudyError, match="a: no data"):
        run({"a": [[RunFailed("a", "no data", True)]], "b": [[RunFinished("b")]]})
