"""Where the time of a training goes: seconds by phase."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

PHASES = ("data", "forward", "backward", "exchange", "optimizer", "evaluation")


class Phases:
    """Adds up the seconds spent in each of ``PHASES``.

    A GPU works behind the program's back: there the figures only mean something if every phase
    waits for it, which ``wait`` asks for and which slows training down.
    """

    def __init__(self, device: torch.device, *, wait: bool = False) -> None:
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self._waits_for = device if wait and device.type == "cuda" else None

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Count what happens inside as phase ``name``."""
        began = time.perf_counter()
        yield
        if self._waits_for is not None:
            torch.cuda.synchronize(self._waits_for)
        self.seconds[name] += time.perf_counter() - began
