"""Every failure that a user can cause, and the exit status the command line gives it.

A message names the thing at fault, what was expected and what to do about it. The command line
prints that one message; a traceback on the screen is a bug.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class KilonetError(Exception):
    """Base of all errors a user can cause. ``exit_code`` is what the command line exits with."""

    exit_code = 1


class UsageError(KilonetError):
    """The command line is wrong: an unknown name, a bad value, options that contradict."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe is wrong: its syntax, a key, a type, a range, or a budget its network exceeds."""


class DataError(KilonetError):
    """Data is missing, damaged, mislabelled or not what its name says."""


class RunError(KilonetError):
    """A run's directory cannot be used: missing, in use, unwritable, or of another format."""


class CheckpointError(RunError):
    """Weights or a resume state cannot be read, or do not fit the network."""


class StudyError(KilonetError):
    """A study cannot go on: its directory is in use or of another format, its workers are lost."""


class TrainingError(KilonetError):
    """Training had to stop: the loss is no longer finite, or a device gave up."""


class WorkerLostError(TrainingError):
    """A process that trained along, or made a run, no longer answers."""


class MissingExtraError(KilonetError):
    """A command needs packages of an extra that is not installed."""

    def __init__(self, extra: str, package: str) -> None:
        super().__init__(
            f'This needs "{package}", which is not installed. '
            f'Install the "{extra}" extra: pip install "kilonet[{extra}]"'
        )


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return `` Did you mean "x"?`` for the choice closest to ``name``, or an empty string."""
    found = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.5)
    return f' Did you mean "{found[0]}"?' if found else ""
