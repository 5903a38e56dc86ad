"""Contestants as processes: each runs alone while the others are stopped."""

from __future__ import annotations

import json
import os
import random
import select
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kilonet.errors import KilonetError

ROOT = Path(__file__).resolve().parents[1]
STARTUP_LIMIT = 1800.0  # seconds; a compiler may take minutes on a slow machine
RESPONSE_LIMIT = 3600.0


class BenchmarkError(KilonetError):
    """A contestant cannot be started, or ended early."""


@dataclass(frozen=True)
class Contestant:
    """A name in the tables, and the process behind it.

    ``module`` is in ``benchmarks/contestants``; ``options`` are its arguments beside the data and
    the batch; ``packages`` are those whose versions the results give. ``is_kilonet`` says whether
    it runs on this Python or on the peers' Python.
    """

    name: str
    module: str
    options: Mapping[str, Any] = field(default_factory=dict)
    packages: tuple[str, ...] = ("torch",)
    is_kilonet: bool = False
    warmup_steps: int = 5


@dataclass(frozen=True)
class Block:
    """The time of one block of steps."""

    seconds: float
    images: int

    @property
    def images_per_second(self) -> float:
        """The throughput."""
        return self.images / self.seconds


class ContestantProcess:
    """A running contestant; it is stopped except during its own blocks."""

    def __init__(self, contestant: Contestant, command: Sequence[str]) -> None:
        self.contestant = contestant
        self._command = command
        self._log = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            process_group=0,  # signals reach its loader processes too
        )

    def warm_up(self) -> dict[str, Any]:
        """Wait for the first steps, stop the process, and return its facts."""
        facts = self._response(STARTUP_LIMIT)
        self._signal(signal.SIGSTOP)
        return facts

    def run(self, steps: int) -> Block:
        """Let it run ``steps`` steps."""
        self._signal(signal.SIGCONT)
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"steps {steps}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None
        response = self._response(RESPONSE_LIMIT)
        # All of its processes: data loaders would otherwise prefetch during another block.
        self._signal(signal.SIGSTOP)
        return Block(response["seconds"], response["images"])

    def stop(self) -> None:
        """End the process and its children."""
        self._signal(signal.SIGKILL)
        self._process.communicate()
        self._log.close()

    def _response(self, limit: float) -> dict[str, Any]:
        output = self._process.stdout
        assert output is not None
        ready, _, _ = select.select([output], [], [], limit)
        if not ready:
            raise BenchmarkError(f"{self.contestant.name} did not respond within {limit:.0f} s.")
        line = output.readline()
        if not line:
            raise self._ended()
        response: dict[str, Any] = json.loads(line)
        return response

    def _ended(self) -> BenchmarkError:
        self._process.wait(timeout=10)
        self._log.seek(0)
        lines = [line for line in self._log.read().splitlines() if line.strip()]
        message = lines[-1] if lines else f"exit status {self._process.returncode}"
        return BenchmarkError(
            f"{self.contestant.name} ended early: {message}. Run it by itself to see more: "
            f"{shlex.join(self._command)}"
        )

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


@contextmanager
def started(
    contestants: Sequence[Contestant], commands: Mapping[str, Sequence[str]]
) -> Iterator[dict[str, tuple[ContestantProcess, dict[str, Any]]]]:
    """Start contestants one after another, so that warm-ups do not overlap; stop all on exit."""
    with ExitStack() as stack:
        processes = {}
        for contestant in contestants:
            process = ContestantProcess(contestant, commands[contestant.name])
            stack.callback(process.stop)
            processes[contestant.name] = process, process.warm_up()
        yield processes


def alternate(
    processes: Sequence[ContestantProcess], rounds: int, steps: int, lead_in: int
) -> dict[str, list[Block]]:
    """Return the blocks of each contestant: one in each round, in a random order.

    Before each block, ``lead_in`` warm-up steps are not counted.
    """
    order = random.Random(0)
    blocks: dict[str, list[Block]] = {process.contestant.name: [] for process in processes}
    for _ in range(rounds):
        for process in order.sample(processes, len(processes)):
            if lead_in:
                process.run(lead_in)
            blocks[process.contestant.name].append(process.run(steps))
    return blocks
