"""Where files are kept, and atomic writing: to a temporary name, then renamed."""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from platformdirs import user_cache_path

from kilonet.errors import RunError

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


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` to ``path`` as indented JSON, atomically."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def csv_text(columns: Collection[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Return ``rows`` as CSV under a header of ``columns``; None is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@contextmanager
def write_errors(folder: Path, remedy: str) -> Iterator[None]:
    """Raise an OSError in writing to ``folder`` as a RunError that says what to do: ``remedy``."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise RunError(f"Cannot write to {folder}: {reason}. {remedy}") from error
