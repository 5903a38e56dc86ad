"""A process that makes the runs of a study: ``python -m kilonet.workflows.study_worker``.

See ``studies.local`` for the one that starts it. A line of JSON on standard input is a job, or the
answer to what it asked; it says by lines of JSON what came of it.
"""

from __future__ import annotations

import json
import os
import queue
import threading
from pathlib import Path
from typing import Any, TextIO

from kilonet.errors import KilonetError, TrainingError
from kilonet.progress import Row, Silent
from kilonet.studies.plan import Job
from kilonet.training.process import say, take_standard_streams
from kilonet.workflows.study_run import make_run

Inbox = queue.Queue[dict[str, Any]]


class PrunedError(Exception):
    """The coordinator has no use for the rest of this run."""


class Messenger(Silent):
    """Tells the coordinator of each epoch and, where it ``asks``, waits for leave to go on."""

    def __init__(self, mouth: TextIO, inbox: Inbox, asks: bool) -> None:
        self._mouth = mouth
        self._inbox = inbox
        self._asks = asks

    def epoch_done(self, row: Row, is_best: bool) -> None:  # noqa: ARG002
        """Send the row."""
        say(self._mouth, json.dumps({"kind": "epoch", "row": row}))
        if self._asks and not self._inbox.get()["go_on"]:
            raise PrunedError


def main() -> None:
    """Make run after run until standard input closes."""
    ear, mouth = take_standard_streams()
    inbox: Inbox = queue.Queue()
    threading.Thread(target=_listen, args=(ear, inbox), daemon=True).start()
    while True:
        message = inbox.get()
        say(mouth, json.dumps(_outcome(message, mouth, inbox)))


def _outcome(message: dict[str, Any], mouth: TextIO, inbox: Inbox) -> dict[str, Any]:
    """Make the run of ``message`` and return what to say of it."""
    job = Job(**message["job"])
    data_dir = Path(message["data_dir"]) if message["data_dir"] else None
    try:
        make_run(job, Path(message["folder"]), data_dir, Messenger(mouth, inbox, job.asks))
    except PrunedError:
        return {"kind": "pruned"}
    except KilonetError as error:
        return failure(error)
    return {"kind": "done"}


def failure(error: KilonetError) -> dict[str, Any]:
    """Return what to say of a run that failed; only a training that diverges is its own affair."""
    return {"kind": "failed", "message": str(error), "fatal": not isinstance(error, TrainingError)}


def _listen(ear: TextIO, inbox: Inbox) -> None:
    """Pass on what is heard; end when the coordinator is gone, whatever is being done."""
    for line in ear:
        inbox.put(json.loads(line))
    os._exit(0)


if __name__ == "__main__":
    main()
