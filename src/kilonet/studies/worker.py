"""Make the runs of a study, one after another: ``python -m kilonet.studies.worker``.

``local_executor`` starts this process. Each line on standard input is a JSON object: a job, or the
reply to an epoch of a prunable run. Each event is written as a JSON line to standard output.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import threading
import time
from pathlib import Path
from typing import Any, TextIO

from kilonet.errors import CheckpointError, KilonetError, RunError, TrainingError
from kilonet.files import PART_SUFFIX
from kilonet.progress import Reporter, Row
from kilonet.recipe.families import CustomConfig
from kilonet.recipe.load import parse_recipe
from kilonet.report.write import CONFUSION, CURVES, MISTAKES
from kilonet.runs import layout
from kilonet.runs.directory import locked
from kilonet.runs.find import open_run
from kilonet.studies.directory import require_run_of
from kilonet.studies.plan import RunJob
from kilonet.workflows.runs import Run
from kilonet.workflows.train import resume, train

OWN_FILES = {*layout.RESULTS, *layout.OTHER_FILES, CURVES, CONFUSION, MISTAKES}
LOCK_SECONDS = 30  # how long the worker of a killed coordinator may take to end

SIGN_SECONDS = 5.0  # between two signs of life
_SENDING = threading.Lock()

Inbox = queue.Queue[dict[str, Any]]


class TrialPrunedError(Exception):
    """The coordinator replied that this run should stop."""


class PipeReporter(Reporter):
    """Sends each epoch to the coordinator; for a prunable run, waits for the reply."""

    def __init__(self, stdout: TextIO, inbox: Inbox, prunable: bool) -> None:
        self._stdout = stdout
        self._inbox = inbox
        self._prunable = prunable

    def epoch_done(self, row: Row, is_best: bool) -> None:  # noqa: ARG002
        """Send the row of the history.

        Raises:
            TrialPrunedError: the reply is to stop.
        """
        _send(self._stdout, {"kind": "epoch", "row": row})
        if self._prunable and not self._inbox.get()["proceed"]:
            raise TrialPrunedError


def make_run(job: RunJob, folder: Path, data_dir: Path | None, reporter: Reporter) -> Run:
    """Return the finished run of ``job`` in ``folder``.

    An interrupted run is resumed, or started again if it cannot be read. ``reporter`` receives its
    epochs.

    Raises:
        KilonetError: the training failed, or could not start.
    """
    path = folder / job.name
    if path.exists():
        run = _finish_existing(job, path, data_dir, reporter)
        if run is not None:
            return run
        _remove_unfinished(path)
    recipe = parse_recipe(job.toml, job.name)
    return train(recipe, name=job.recipe, data_dir=data_dir, out=path, reporter=reporter)


def _finish_existing(
    job: RunJob, path: Path, data_dir: Path | None, reporter: Reporter
) -> Run | None:
    """Return the run at ``path``, resumed if needed; None if there is nothing to resume."""
    if not (path / layout.RUN).is_file():
        return None
    busy = RunError(f"{path} is in use: another process is training there.")
    with locked(path, busy, LOCK_SECONDS):
        run = open_run(path)
    if run.finished:
        require_run_of(run, job.toml)
        return Run(run)
    recipe = parse_recipe(job.toml, job.name)
    model_class = recipe.model.name if isinstance(recipe.model, CustomConfig) else None
    try:
        return resume(path, data_dir=data_dir, model=model_class, reporter=reporter)
    except CheckpointError:
        return None


def _remove_unfinished(path: Path) -> None:
    """Remove a run that cannot be resumed.

    Raises:
        RunError: there are files in its directory that a run does not write.
    """
    if path.is_symlink() or not path.is_dir():
        kind = "a symbolic link" if path.is_symlink() else "a file"
        raise RunError(f"{path} is {kind}, not the folder of a run. Remove it.")
    for entry in path.iterdir():
        if entry.name not in OWN_FILES and not entry.name.endswith(PART_SUFFIX):
            raise RunError(
                f"{path} cannot be resumed, and has {entry.name}, which is not a file of a run. "
                "Move it away to train that run again."
            )
    shutil.rmtree(path)


def main() -> None:
    """Make runs until standard input closes."""
    stdin, stdout = _take_standard_streams()
    inbox: Inbox = queue.Queue()
    threading.Thread(target=_receive, args=(stdin, inbox), daemon=True).start()
    threading.Thread(target=_send_signs_of_life, args=(stdout,), daemon=True).start()
    while True:
        message = inbox.get()
        _send(stdout, _make_job(message, stdout, inbox))


def _make_job(message: dict[str, Any], stdout: TextIO, inbox: Inbox) -> dict[str, Any]:
    """Make the run of ``message`` and return the event to send."""
    job = RunJob(**message["job"])
    data_dir = Path(message["data_dir"]) if message["data_dir"] else None
    try:
        make_run(job, Path(message["folder"]), data_dir, PipeReporter(stdout, inbox, job.prunable))
    except TrialPrunedError:
        return {"kind": "pruned"}
    except KilonetError as error:
        return failure_event(error)
    return {"kind": "finished"}


def failure_event(error: KilonetError) -> dict[str, Any]:
    """Return the event of a failed run: fatal for the study, unless only its training failed."""
    return {"kind": "failed", "message": str(error), "fatal": not isinstance(error, TrainingError)}


def _receive(stdin: TextIO, inbox: Inbox) -> None:
    """Put each message into ``inbox``; end the process when the coordinator is gone."""
    for line in stdin:
        inbox.put(json.loads(line))
    os._exit(0)


def _send_signs_of_life(stdout: TextIO) -> None:
    """Show the coordinator that this process is not frozen, however long an epoch takes."""
    while True:
        time.sleep(SIGN_SECONDS)
        _send(stdout, {"kind": "alive"})


def _send(stdout: TextIO, message: dict[str, Any]) -> None:
    with _SENDING:
        stdout.write(f"{json.dumps(message)}\n")
        stdout.flush()


def _take_standard_streams() -> tuple[TextIO, TextIO]:
    """Return standard input and output for messages, and replace both by the null device.

    A network class of the user may print or read.
    """
    streams = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    return streams


if __name__ == "__main__":
    main()
