"""Where the runs of a study are made, as its coordinator sees it: what to ask and to hear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from kilonet.runs.layout import Row
from kilonet.studies.plan import Job


@dataclass(frozen=True)
class Epoch:
    """A run has completed an epoch; ``row`` is its line of the history."""

    job: str
    row: Row


@dataclass(frozen=True)
class Done:
    """A run is finished, and in the study's directory."""

    job: str


@dataclass(frozen=True)
class Pruned:
    """A run was told not to go on after its last epoch."""

    job: str


@dataclass(frozen=True)
class Failed:
    """A run could not be made: ``message`` says why. ``fatal``: nor would any other."""

    job: str
    message: str
    fatal: bool


@dataclass(frozen=True)
class Lost:
    """What was making the run has vanished; it can be made again."""

    job: str
    reason: str


Event: TypeAlias = Epoch | Done | Pruned | Failed | Lost


class Place(Protocol):
    """As many workers as ``size``, each making one run at a time."""

    @property
    def size(self) -> int:
        """How many runs can be in progress."""

    def warm_up(self, workers: int) -> None:
        """Have as many ``workers`` load what runs need, while this process goes on."""

    def begin(self, job: Job) -> None:
        """Have ``job`` made; there is a worker free."""

    def answer(self, job: str, go_on: bool) -> None:
        """Say whether the run that asks after each epoch is to go on."""

    def wait(self, seconds: float) -> Sequence[Event]:
        """Return what has happened, waiting for it up to ``seconds``."""

    def close(self) -> None:
        """End everything that is still in progress."""
