"""Where files are kept, and atomic writing: to a temporary name, then renamed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from platformdirs import user_cache_path

DATA_VARIABLE = "KILONET_DATA"
RUNS_VARIABLE = "KILONET_RUNS"
STUDIES_VARIABLE = "KILONET_STUDIES"
PART = ".part"  # suffix of a file that is being written


def data_cache() -> Path:
    """Return the directory of downloaded data sets, which may not exist."""
    return user_cache_path("kilonet", appauthor=False) / "data"


def kernel_cache() -> Path:
    """Return the directory of compiled kernels, which may not exist."""
    return user_cache_path("kilonet", appauthor=False) / "kernels"


def data_dir_from_environment() -> Path | None:
    """Return the directory named by ``KILONET_DATA``, or None if it is unset or empty."""
    value = os.environ.get(DATA_VARIABLE, "")
    return Path(value).expanduser() if value else None


def runs_dir() -> Path:
    """Return the directory of runs: ``KILONET_RUNS``, or ``runs`` in the current directory."""
    return Path(os.environ.get(RUNS_VARIABLE) or "runs").expanduser()


def studies_dir() -> Path:
    """Return the directory of studies: ``KILONET_STUDIES``, or ``studies`` in the current one."""
    return Path(os.environ.get(STUDIES_VARIABLE) or "studies").expanduser()


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Call ``write`` with an open binary file and move the result to ``path`` in one step.

    The bytes are synced to disk before the rename, so a crash leaves either the old file or the
    new one.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=PART, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` atomically."""
    write_atomically(path, lambda file: file.write(content))


def write_text(path: Path, content: str) -> None:
    """Write ``content`` to ``path`` as UTF-8, atomically."""
    write_bytes(path, content.encode("utf-8"))
