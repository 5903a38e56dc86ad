"""The command line: each command parses its arguments, calls one function and prints.

``main`` prepares the process before anything else is imported: signals and standard streams.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
STOPPED = 128  # the exit status of a stopped command is this plus the signal's number
PATIENCE = 1.0  # seconds after a signal until the next one ends the process at once
RETRY_SECONDS = 0.002
_IMPORTING = "<frozen importlib"  # in the file name of the frames of an import


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 on success, 2 for wrong usage, 1 for a failure."""
    open_missing_streams()
    handler = StopHandler()
    try:
        from kilonet.cli.app import run

        status = run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        status = STOPPED + signal.SIGINT
    if handler.number is not None and status == STOPPED + signal.SIGINT:
        status = STOPPED + handler.number
    handler.end()
    sys.exit(status)


def open_missing_streams() -> None:
    """Open the null device in place of standard streams that are closed.

    A file that is opened later would take their numbers, and receive what is printed.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115


class StopHandler:
    """Handles Ctrl-C, SIGTERM and SIGHUP: the first, ``number``, raises KeyboardInterrupt once.

    Modules, above all compiled ones, do not survive an exception while they are imported: it is
    raised after the import, or the process ends if that takes over a second. Another signal after
    that second ends it, too. A signal that the process ignores, as under nohup, stays ignored.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._since = 0.0
        self._raised = False
        self._numbers = [
            number
            for number in (getattr(signal, name, None) for name in SIGNALS)
            if number is not None and signal.getsignal(number) != signal.SIG_IGN
        ]
        for number in self._numbers:
            signal.signal(number, self._received)
        if hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, self._stop)
            self._watch()

    def end(self) -> None:
        """Let signals end the process at once: all work is done."""
        for number in self._numbers:
            signal.signal(number, signal.SIG_DFL)

    def _watch(self) -> None:
        """Start a thread that sees signals also while compiled code keeps Python from it."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
        threading.Thread(target=self._end_on_another, args=(reader,), daemon=True).start()

    def _end_on_another(self, reader: int) -> None:
        first = None
        while number := ord(os.read(reader, 1)):
            if number not in self._numbers:
                continue
            if first is None:
                self.number, first = number, time.monotonic()
            elif time.monotonic() - first > PATIENCE:
                self._end_process()

    def _received(self, number: int, frame: FrameType | None) -> None:
        if not self._since:
            self.number, self._since = number, time.monotonic()
        self._stop(number, frame)

    def _stop(self, _: int, frame: FrameType | None) -> None:
        if self._raised:
            return
        if not (hasattr(signal, "setitimer") and _is_importing(frame)):
            self._raised = True
            raise KeyboardInterrupt
        if time.monotonic() - self._since > PATIENCE:
            self._end_process()
        signal.setitimer(signal.ITIMER_REAL, RETRY_SECONDS)

    def _end_process(self) -> None:
        with suppress(OSError):
            os.write(2, b"Error: Stopped.\n")
        os._exit(STOPPED + (self.number or 0))


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORTING):
            return True
        frame = frame.f_back
    return False
