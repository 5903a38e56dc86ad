"""The line protocol, as a contestant speaks it."""

from __future__ import annotations

import io
import json
import os
from typing import Any

import pytest
from benchmarks.contestants.meter import Meter


class Ended(BaseException):
    """Stands for the end of the process."""


class Talk:
    """A meter whose requests are given, on a clock that is moved by hand."""

    def __init__(self, *requests: str, warmup: int = 2) -> None:
        self.now = 100.0
        self.output = io.StringIO()
        lines = io.StringIO("".join(f"{line}\n" for line in requests))
        self.meter = Meter(lines, self.output, warmup, lambda: {"threads": 1}, lambda: self.now)

    def step(self, images: int = 8, seconds: float = 0.5) -> None:
        """Let a step take its time."""
        self.now += seconds
        self.meter.after_step(images)

    def answers(self) -> list[dict[str, Any]]:
        """Return what was said so far."""
        return [json.loads(line) for line in self.output.getvalue().splitlines()]


@pytest.fixture(autouse=True)
def _end(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(status: int) -> None:
        raise Ended(status)

    monkeypatch.setattr(os, "_exit", leave)


def test_the_first_answer_comes_after_the_warm_up() -> None:
    talk = Talk("steps 5")
    talk.step()
    assert talk.answers() == []
    talk.step()
    assert talk.answers() == [{"ready": True, "warmup_seconds": 1.0, "threads": 1}]


def test_a_request_is_answered_with_its_own_time_and_images() -> None:
    talk = Talk("steps 1", "steps 3", warmup=1)
    talk.step()
    talk.step(images=8, seconds=0.25)
    assert talk.answers()[1:] == [{"seconds": 0.25, "images": 8}]
    talk.step(images=8)
    talk.step(images=8)
    with pytest.raises(Ended):
        talk.step(images=3)
    assert talk.answers()[2:] == [{"seconds": 1.5, "images": 19}]


def test_the_time_spent_waiting_for_a_request_does_not_count() -> None:
    talk = Talk("steps 1", warmup=1)
    read = talk.meter._requests.readline

    def slowly() -> str:
        talk.now += 1000
        return read()

    talk.meter._requests.readline = slowly  # type: ignore[method-assign, assignment]
    talk.step()
    with pytest.raises(Ended):
        talk.step(seconds=0.5)
    assert talk.answers()[1] == {"seconds": 0.5, "images": 8}


def test_it_settles_only_where_the_clock_stops() -> None:
    talk = Talk("steps 2", warmup=1)
    settled: list[float] = []

    def wait() -> None:
        talk.now += 0.5
        settled.append(talk.now)

    talk.meter.after_step(8, wait)
    talk.meter.after_step(8, wait)
    assert len(settled) == 1
    with pytest.raises(Ended):
        talk.meter.after_step(8, wait)
    assert len(settled) == 2
    assert talk.answers()[1]["seconds"] == 0.5


def test_the_end_of_the_requests_ends_the_contestant() -> None:
    talk = Talk(warmup=1)
    with pytest.raises(Ended):
        talk.step()


@pytest.mark.parametrize("line", ["steps", "steps 0", "steps -1", "stop 3", "", "steps 1.5"])
def test_another_request_is_refused(line: str) -> None:
    talk = Talk(line, warmup=1)
    with pytest.raises(RuntimeError, match='expected "steps N"'):
        talk.step()
