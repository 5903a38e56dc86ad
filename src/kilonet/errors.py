"""The errors that a user can cause, and their exit codes.

A message names the cause, what was expected and what to do. The command line prints only the
message; a traceback is a bug.
"""

from __future__ import annotations

from collections.abc import Iterable

_OUT_OF_MEMORY = ("cannot allocate memory", "not enough memory", "out of memory", "bad_alloc")


class KilonetError(Exception):
    """Base of all errors that a user can cause. ``exit_code`` is the command line's exit code."""

    exit_code = 1


class UsageError(KilonetError):
    """The command line is wrong: an unknown name, a bad value, contradictory options."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe is wrong: its syntax, a key, a value, or a network over its budget."""


class DataError(KilonetError):
    """Data is missing, damaged, mislabelled or not what its name says."""


class RunError(KilonetError):
    """A run's directory cannot be used: missing, in use, not writable, or in another format."""


class CheckpointError(RunError):
    """Weights or a resume state cannot be read, or do not fit the network."""


class StudyError(KilonetError):
    """A study cannot continue: its directory cannot be used, or workers are lost."""


class TrainingError(KilonetError):
    """Training failed: the loss is not finite, or a device failed."""


class WorkerLostError(TrainingError):
    """A training process no longer responds."""


class MissingExtraError(KilonetError):
    """A command needs an extra that is not installed."""

    def __init__(self, extra: str, package: str) -> None:
        super().__init__(
            f'This needs "{package}", which is not installed. '
            f'Install the "{extra}" extra: pip install "kilonet[{extra}]"'
        )


class Stopped(KeyboardInterrupt):
    """Ctrl-C during work that can be resumed; the message says what is kept and how to resume."""


def is_out_of_memory(error: Exception) -> bool:
    """Return whether ``error`` says that there is no memory left; libraries raise several types."""
    text = str(error).lower().replace("can't", "cannot")
    return isinstance(error, MemoryError) or any(words in text for words in _OUT_OF_MEMORY)


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return `` Did you mean "x"?`` for the choice closest to ``name``, or an empty string."""
    import difflib

    found = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.5)
    return f' Did you mean "{found[0]}"?' if found else ""
