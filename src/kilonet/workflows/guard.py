"""What interrupts a run once it has a directory: each says where the run is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kilonet.errors import RunError, TrainingError, WorkerLostError
from kilonet.runs import layout
from kilonet.runs.directory import RunDirectory


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while a run was being trained; ``run`` is the directory to resume."""

    def __init__(self, run: Path) -> None:
        super().__init__(f"stopped; the run is kept in {run}")
        self.run = run


class AuditInterrupted(KeyboardInterrupt):
    """Ctrl-C during an audit; ``message`` says what is kept, and where."""

    def __init__(self, folder: Path) -> None:
        self.message = (
            f"Stopped. The folds that are done are kept in {folder}; the same command goes on."
        )
        super().__init__(self.message)


@contextmanager
def kept(run: RunDirectory) -> Iterator[None]:
    """Name the directory of ``run`` in whatever ends its training early.

    Raises:
        Interrupted: Ctrl-C.
        TrainingError: training had to stop. It can be gone on with if a worker was lost.
        RunError: its directory can no longer be written.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(run.path) from None
    except WorkerLostError as error:
        raise WorkerLostError(
            f"{error} Whole epochs are kept; go on with: kilonet train --resume {run.path}"
        ) from error
    except TrainingError as error:
        raise TrainingError(f"{error} {_what_is_left(run)}") from error
    except OSError as error:
        raise RunError(
            f"Cannot write to {run.path}: {error.strerror or error}. "
            f"Make room, then go on: kilonet train --resume {run.path}"
        ) from error


@contextmanager
def not_begun() -> Iterator[None]:
    """Say of a worker that is lost before there is a run that there is none.

    Raises:
        WorkerLostError: one was lost.
    """
    try:
        yield
    except WorkerLostError as error:
        raise WorkerLostError(
            f"{error} Nothing was trained. Try again, or with one: training.workers=1"
        ) from error


def _what_is_left(run: RunDirectory) -> str:
    if run.file(layout.STATE).exists():
        return f"The epochs before are kept in {run.path}."
    return f"No epoch was completed; what was tried is in {run.path}."
