"""Contestants as processes: started, warmed up, and let run in turn while the others sleep."""

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
ANSWER_LIMIT = 3600.0


class BenchmarkError(KilonetError):
    """A contestant cannot take part, or gave up."""


@dataclass(frozen=True)
class Contestant:
    """A name in the tables, and the process behind it.

    ``module`` is in ``benchmarks/contestants``; ``options`` are its arguments beside the data and
    the batch; ``packages`` are those whose versions the results give. ``ours`` says which Python
    it runs on: this one, or that of the peers. ``whole_runs`` are warm by themselves.
    """

    name: str
    module: str
    options: Mapping[str, Any] = field(default_factory=dict)
    packages: tuple[str, ...] = ("torch",)
    ours: bool = False
    whole_runs: bool = False
    warmup_steps: int = 5


@dataclass(frozen=True)
class Block:
    """What one turn of a contestant took."""

    seconds: float
    images: int

    @property
    def images_per_second(self) -> float:
        """The speed."""
        return self.images / self.seconds


class Player:
    """A contestant that is running, asleep except while it answers."""

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
            process_group=0,  # signals reach its helpers too, and the shell ends an orphan
        )

    def warm_up(self) -> dict[str, Any]:
        """Wait for its first steps and return what it says of itself; then it sleeps."""
        facts = self._answer(STARTUP_LIMIT)
        self._signal(signal.SIGSTOP)
        return facts

    def run(self, steps: int) -> Block:
        """Wake it for ``steps`` steps."""
        self._signal(signal.SIGCONT)
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"steps {steps}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._gone() from None
        answer = self._answer(ANSWER_LIMIT)
        # All of its processes: loaders that fetch ahead would do so in another's time.
        self._signal(signal.SIGSTOP)
        return Block(answer["seconds"], answer["images"])

    def stop(self) -> None:
        """End it and everything that it started."""
        self._signal(signal.SIGKILL)
        self._process.communicate()
        self._log.close()

    def _answer(self, limit: float) -> dict[str, Any]:
        output = self._process.stdout
        assert output is not None
        ready, _, _ = select.select([output], [], [], limit)
        if not ready:
            raise BenchmarkError(f"{self.contestant.name} did not answer within {limit:.0f} s.")
        line = output.readline()
        if not line:
            raise self._gone()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _gone(self) -> BenchmarkError:
        self._process.wait(timeout=10)
        self._log.seek(0)
        lines = [line for line in self._log.read().splitlines() if line.strip()]
        said = lines[-1] if lines else f"exit status {self._process.returncode}"
        return BenchmarkError(
            f"{self.contestant.name} ended early: {said}. Run it by itself to see more: "
            f"{shlex.join(self._command)}"
        )

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


@contextmanager
def playing(
    contestants: Sequence[Contestant], commands: Mapping[str, Sequence[str]]
) -> Iterator[dict[str, tuple[Player, dict[str, Any]]]]:
    """Start each in turn, alone, so that no warm-up disturbs another; end all of them at last."""
    with ExitStack() as stack:
        started = {}
        for contestant in contestants:
            player = Player(contestant, commands[contestant.name])
            stack.callback(player.stop)
            started[contestant.name] = player, player.warm_up()
        yield started


def alternate(
    players: Sequence[Player], rounds: int, steps: int, lead_in: int
) -> dict[str, list[Block]]:
    """Return each contestant's blocks: in every round each has one, in an order drawn anew.

    ``lead_in`` steps before each block are not counted: they bring a contestant's memory back into
    the caches that the one before has used.
    """
    order = random.Random(0)
    blocks: dict[str, list[Block]] = {player.contestant.name: [] for player in players}
    for _ in range(rounds):
        for player in order.sample(players, len(players)):
            if lead_in and not player.contestant.whole_runs:
                player.run(lead_in)
            blocks[player.contestant.name].append(player.run(steps))
    return blocks
