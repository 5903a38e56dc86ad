"""The loop, with a place that does as it is told."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import pytest

from kilonet.errors import StudyError
from kilonet.runs.layout import Row
from kilonet.studies.coordinator import MOST_TRIES, Coordinator, Queue
from kilonet.studies.places import Done, Epoch, Event, Failed, Lost
from kilonet.studies.plan import Job


class Stage:
    """A place with two workers, whose events are written beforehand: a list for each attempt."""

    size = 2

    def __init__(self, script: dict[str, list[list[Event]]]) -> None:
        self.script = script
        self.begun: list[str] = []
        self.answers: list[tuple[str, bool]] = []
        self.at_work = self.most = 0
        self._events: deque[Event] = deque()

    def warm_up(self, workers: int) -> None:
        """Actors are."""

    def begin(self, job: Job) -> None:
        self.begun.append(job.name)
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        self._events += self.script[job.name].pop(0)

    def answer(self, job: str, go_on: bool) -> None:
        self.answers.append((job, go_on))

    def wait(self, seconds: float) -> Sequence[Event]:
        event = self._events.popleft()
        self.at_work -= not isinstance(event, Epoch)
        return [event]

    def close(self) -> None:
        """Nothing is left."""


class Notes:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.said: list[tuple[str, ...]] = []

    def began(self, job: str) -> None:
        self.said.append(("began", job))

    def epoch(self, job: str, row: Row) -> None:
        self.said.append(("epoch", job, f"{row['epoch']:g}"))

    def done(self, job: str) -> None:
        self.said.append(("done", job))

    def failed(self, job: str, message: str) -> None:
        self.said.append(("failed", job, message))

    def lost(self, job: str, reason: str) -> None:
        self.said.append(("lost", job, reason))


def carry_out(script: dict[str, list[list[Event]]]) -> tuple[Stage, Notes]:
    stage, notes = Stage(script), Notes()
    Coordinator(Queue(Job(name, "quick", "") for name in [*script]), stage, notes).run()
    return stage, notes


def test_each_job_once_no_more_at_a_time_than_there_are_workers() -> None:
    names = [f"r{number}" for number in range(7)]
    stage, _ = carry_out({name: [[Epoch(name, {"epoch": 1}), Done(name)]] for name in names})
    assert stage.begun == names
    assert stage.most == 2
    assert stage.answers == []


def test_once_the_first_runs_are_given_out_there_is_time_for_something_else() -> None:
    stage = Stage({name: [[Done(name)]] for name in "abc"})
    seen: list[list[str]] = []
    jobs = [Job(name, "quick", "") for name in "abc"]
    Coordinator(Queue(jobs), stage, Notes()).run(lambda: seen.append([*stage.begun]))
    assert seen == [["a", "b"]]
    assert stage.begun == ["a", "b", "c"]


def test_a_lost_run_is_made_again_first() -> None:
    stage, notes = carry_out({"a": [[Lost("a", "gone")], [Done("a")]], "b": [[Done("b")]]})
    assert stage.begun == ["a", "b", "a"]
    assert ("lost", "a", "gone") in notes.said
    assert notes.said[-1] == ("done", "a")


def test_not_for_ever() -> None:
    with pytest.raises(StudyError, match=f"a lost its worker {MOST_TRIES} times"):
        carry_out({"a": [[Lost("a", "gone")]] * MOST_TRIES})


def test_a_run_that_diverges_is_its_own_affair() -> None:
    stage, notes = carry_out({"a": [[Failed("a", "diverged", False)]], "b": [[Done("b")]]})
    assert stage.begun == ["a", "b"]
    assert ("failed", "a", "diverged") in notes.said


def test_what_no_run_would_escape_ends_the_study() -> None:
    with pytest.raises(StudyError, match="a: no data"):
        carry_out({"a": [[Failed("a", "no data", True)]], "b": [[Done("b")]]})
