"""The clock between a training loop and the driver: lets the loop run in pieces, timed.

The driver writes ``steps N`` on the contestant's standard input; the contestant takes N training
steps and answers with one line of JSON, ``{"seconds": S, "images": I}``. The very first answer
comes unasked, once the warm-up is over. At the end of its input a contestant ends.

The loop itself stays as its library wants it: it only calls the meter after each step, which
returns at once until the steps that were asked for are done, and then waits for the next request.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TextIO


class AfterStep(Protocol):
    """What a contestant's loop calls after each training step.

    ``images`` were in its batch. ``settle`` waits until the step has really been taken, where the
    library computes behind the caller's back; it is called only where the clock stops.
    """

    def __call__(self, images: int, settle: Callable[[], object] = ..., /) -> None:
        """Count the step."""


def _settled() -> None:
    """Nothing to wait for."""


class Meter:
    """Counts and times steps; ``facts`` go with the first answer."""

    def __init__(
        self,
        requests: TextIO,
        answers: TextIO,
        warmup_steps: int,
        facts: Callable[[], dict[str, Any]] = dict,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._requests = requests
        self._answers = answers
        self._facts = facts
        self._clock = clock
        self._left = warmup_steps
        self._images = 0
        self._warm = False
        self._began = clock()

    def after_step(self, images: int, settle: Callable[[], object] = _settled, /) -> None:
        """Count a step; where it was the last asked for, answer, and wait for the next request."""
        self._images += images
        self._left -= 1
        if self._left > 0:
            return
        settle()
        self._answer_for(self._clock() - self._began, self._images)
        self._left = self._next_request()
        self._images = 0
        self._began = self._clock()

    def requests(self) -> Iterator[int]:
        """Yield the steps of each request, for loops that are timed whole; see ``answer``."""
        self._answer_for(self._clock() - self._began, 0)
        while True:
            yield self._next_request()

    def answer(self, seconds: float, images: int) -> None:
        """Answer a request that ``requests`` gave."""
        self._write({"seconds": seconds, "images": images})

    def _answer_for(self, seconds: float, images: int) -> None:
        if self._warm:
            self.answer(seconds, images)
            return
        self._warm = True
        self._write({"ready": True, "warmup_seconds": seconds, **self._facts()})

    def _next_request(self) -> int:
        line = self._requests.readline()
        if not line:
            # Libraries in the middle of a fit would otherwise clean up, warn, or save.
            os._exit(0)
        word, _, count = line.strip().partition(" ")
        if word != "steps" or not count.isdecimal() or int(count) == 0:
            raise RuntimeError(f'expected "steps N", got {line.strip()!r}')
        return int(count)

    def _write(self, answer: dict[str, Any]) -> None:
        self._answers.write(json.dumps(answer) + "\n")
        self._answers.flush()
