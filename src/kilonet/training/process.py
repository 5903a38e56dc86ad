"""One helper process, as the process that started it sees it.

It is ``python -m kilonet.training.helper``, or another module that ends as it does. It says that
it is ready by a line on its standard output, is told its job by a line of JSON on its standard
input, and says by another line why it failed if it did. It ends when its standard input closes,
so it never outlives the process that started it, however that one ends; and it stands in a process
group of its own, so that Ctrl-C reaches only the one that the user sees.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from kilonet.errors import TrainingError, WorkerLostError

READY, HERE = "kilonet: ready", "kilonet: here"  # to be told a job, to meet the others
# Exit statuses of a helper, other than Python's own: it has only to say that another worker is
# gone; it could not go on, and has said why.
OTHERS_LOST, GAVE_UP = 3, 4

Job = dict[str, Any]


class HelperProcess:
    """A process that has been started; it loads PyTorch while this one goes on.

    It runs ``module``, with ``variables`` in its environment. Raises ``OSError`` where the system
    has no room for it.
    """

    def __init__(
        self, module: str = "kilonet.training.helper", variables: Mapping[str, str] | None = None
    ) -> None:
        # Without a name it cannot stay behind. It is read only if the helper says nothing better.
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
                env={**_environment(), **(variables or {})},
                start_new_session=True,
            )
        except OSError:
            self._errors.close()
            raise
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._ear, self._mouth = self._process.stdin, self._process.stdout
        self._ready = False

    def wait_until_ready(self, patience: float) -> None:
        """Wait until it has loaded PyTorch.

        Raises:
            WorkerLostError: it has ended.
            TrainingError: it took over ``patience`` seconds, and has been ended.
        """
        if not self._ready:
            self._hear(READY, patience)
            self._ready = True

    def begin(self, job: Job, patience: float) -> None:
        """Wait until it is ready, tell it its ``job``, and wait until it is there to do it.

        Raises:
            WorkerLostError: it has ended.
            TrainingError: it took over ``patience`` seconds, and has been ended.
        """
        self.wait_until_ready(patience)
        self.tell(job)
        self._hear(HERE, patience)

    def tell(self, message: Job) -> None:
        """Tell it ``message``, as one line.

        Raises:
            WorkerLostError: it has ended.
        """
        try:
            self._ear.write(f"{json.dumps(message)}\n")
            self._ear.flush()
        except OSError as error:
            raise WorkerLostError("A worker has ended before it was told what to do.") from error

    def heard(self) -> Iterator[str]:
        """Yield what it says, line by line, until it ends."""
        with suppress(ValueError):  # closed meanwhile
            yield from self._mouth

    def failure(self, until: float) -> tuple[int, str] | None:
        """Return its exit status and why it ended, in its own words; None if it has not ended.

        It is waited for ``until`` that time of ``time.monotonic``. Where it has said nothing its
        words are the last line of its standard error.
        """
        try:
            status = self._process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            return None
        with suppress(ValueError):
            return status, str(json.loads(self._mouth.readline()))
        self._errors.seek(0)
        return status, (self._errors.read().strip().splitlines() or [""])[-1]

    def end(self) -> None:
        """End it at once: it keeps nothing that could be lost."""
        self._process.kill()
        self._process.wait()
        for stream in (self._ear, self._mouth, self._errors):
            with suppress(OSError):  # of a job that it did not live to read
                stream.close()

    def _hear(self, expected: str, patience: float) -> None:
        too_late = threading.Timer(patience, self._process.kill)
        too_late.start()
        heard = any(line.strip() == expected for line in self._mouth)
        in_time = too_late.is_alive()
        too_late.cancel()
        if not in_time:
            raise TrainingError(
                f"A worker was not ready to start after {patience:g} seconds. Try again, or train "
                "with one: training.workers=1"
            )
        if not heard:
            raise WorkerLostError("A worker could not start.")


def loopback() -> dict[str, str]:
    """Return the variable that keeps gloo's connections inside this machine.

    By default gloo takes the network that the machine's name stands for, which others can reach,
    and complains where the name stands for none.
    """
    with suppress(OSError, AttributeError):
        names = {name for _, name in socket.if_nameindex()}
        for name in ("lo", "lo0"):
            if name in names:
                return {"GLOO_SOCKET_IFNAME": name}
    return {}


def take_standard_streams() -> tuple[TextIO, TextIO]:
    """Return standard input and output, which belong to the leader; from here on they are empty.

    The user's own network may print a lot, and the one in the leading process prints the same.
    """
    kept = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
    return kept


def say(mouth: TextIO, line: str) -> None:
    """Say ``line`` to the leader at once."""
    mouth.write(f"{line}\n")
    mouth.flush()


def _environment() -> dict[str, str]:
    """Return the variables of a helper: it finds the modules that this process finds."""
    paths = [entry or str(Path.cwd()) for entry in sys.path]
    return {**loopback(), **os.environ, "PYTHONPATH": os.pathsep.join(paths)}
