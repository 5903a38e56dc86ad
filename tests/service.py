"""Run the service in a process of its own, as users do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

T = TypeVar("T")
PATIENCE = 60.0  # seconds: tests share the machine with each other


@dataclass(frozen=True)
class Live:
    """A running service: its process, its address, and the file of its log."""

    process: subprocess.Popen[str]
    address: str
    errors: Path

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.address.rpartition(":")[2])

    def client(self, **options: Any) -> httpx.Client:
        """Return a client; its paths are relative."""
        return httpx.Client(base_url=self.address, timeout=PATIENCE, **options)

    def raw(self, content: bytes) -> bytes:
        """Send some bytes and return the response, until the service closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
            connection.sendall(content)
            return received(connection)

    def stop(self) -> int:
        """Stop it gracefully and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def log(self) -> list[dict[str, Any]]:
        """Return the lines of its log, once no more come: a thread of the service writes them."""
        before = None
        while (text := self.errors.read_text()) != before:
            before = text
            time.sleep(0.2)
        return [json.loads(line) for line in text.splitlines()]

    def workers(self) -> list[int]:
        """Return the process ids of its workers."""
        task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(word) for word in task.read_text().split()]


def await_(work: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine. It runs in another thread, because Playwright's event loop
    occupies this one once a browser is open."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def received(connection: socket.socket) -> bytes:
    """Return all bytes until the other side closes the connection."""
    chunks = []
    with contextlib.suppress(ConnectionError):
        while chunk := connection.recv(65536):
            chunks.append(chunk)
    return b"".join(chunks)


def command(model: Path, *options: str) -> list[str]:
    """Return the command line of a service on a free port."""
    return [sys.executable, "-m", "kilonet", "serve", str(model), "--port", "0", *options]


@contextlib.contextmanager
def live(
    model: Path, *options: str, limit: str | None = None, **environment: str
) -> Iterator[Live]:
    """Start a service with one worker, and end it. ``limit`` is Python code that runs before it."""
    words = command(model, "--workers", "1", *options)
    if limit is not None:
        code = f"{limit}; runpy.run_module('kilonet', run_name='__main__')"
        words = [sys.executable, "-c", code, *words[3:]]
    with tempfile.NamedTemporaryFile("w") as errors:
        process = subprocess.Popen(
            words,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | environment,
            start_new_session=True,
        )
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            log = Path(errors.name)
            assert line.startswith("Serving at "), log.read_text()
            yield Live(process, line.split()[2], log)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(PATIENCE)
            process.stdout.close()
