"""A folder that one process at a time writes to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kilonet.atomic import PART
from kilonet.errors import KilonetError
from kilonet.runs import layout


@contextmanager
def locked(folder: Path, busy: KilonetError, patience: float = 0) -> Iterator[None]:
    """Keep every other process out of ``folder``; remove what a killed one left half-written.

    The lock goes with its process, however that ends; another's is waited for ``patience`` seconds.

    Raises:
        KilonetError: ``busy``, where another process has the lock; one like it where the folder
            cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / layout.LOCK, timeout=patience)
    try:
        lock.acquire()
    except Timeout:
        raise busy from None
    except OSError as error:
        raise type(busy)(f"Cannot write to {folder}: {error.strerror or error}.") from None
    try:
        for half_written in folder.glob(f".*{PART}"):
            half_written.unlink()  # nobody reads it
        yield
    finally:
        lock.release()
