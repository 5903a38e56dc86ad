"""The result of a command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class CommandResult:
    """Exit status, standard output and standard error of a command."""

    status: int
    out: str
    err: str


Command = Callable[..., CommandResult]
