"""Let the driver run a training loop for N steps at a time, and time these steps.

The driver writes ``steps N`` on the contestant's standard input; the contestant takes N training
steps and responds with one line of JSON, ``{"seconds": S, "images": I}``. It sends the first
response without a request, after the warm-up. At the end of its input a contestant exits.

The loop is written as usual for its library. It only calls the meter after each step; the meter
returns at once until the requested steps are done, and then waits for the next request.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any, Protocol, TextIO


class AfterStep(Protocol):
    """The function that a contestant calls after each training step.

    ``images`` is the size of its batch. ``wait`` waits until the step is computed, for libraries
    that compute asynchronously; it is called only when the clock stops.
    """

    def __call__(self, images: int, wait: Callable[[], object] = ..., /) -> None:
        """Count the step."""


def _no_wait() -> None:
    """Return at once."""


class Meter:
    """Counts and times steps; the first response contains ``facts``."""

    def __init__(
        self,
        requests: TextIO,
        responses: TextIO,
        warmup_steps: int,
        facts: Callable[[], dict[str, Any]] = dict,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._requests = requests
        self._responses = responses
        self._facts = facts
        self._clock = clock
        self._left = warmup_steps
        self._images = 0
        self._warm = False
        self._began = clock()

    def after_step(self, images: int, wait: Callable[[], object] = _no_wait, /) -> None:
        """Count a step; after the last requested one, respond and wait for the next request."""
        self._images += images
        self._left -= 1
        if self._left > 0:
            return
        wait()
        self._respond(self._clock() - self._began, self._images)
        self._left = self._next_request()
        self._images = 0
        self._began = self._clock()

    def _respond(self, seconds: float, images: int) -> None:
        if self._warm:
            self._write({"seconds": seconds, "images": images})
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

    def _write(self, response: dict[str, Any]) -> None:
        self._responses.write(json.dumps(response) + "\n")
        self._responses.flush()
