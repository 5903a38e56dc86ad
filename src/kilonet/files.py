"""Where files are kept, and atomic writing: to a temporary name, then renamed."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from kilonet.errors import RunError, UsageError
from kilonet.text import csv_cell, printable_json

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

DATA_VARIABLE = "KILONET_DATA"
RUNS_VARIABLE = "KILONET_RUNS"
STUDIES_VARIABLE = "KILONET_STUDIES"
PART_SUFFIX = ".part"  # suffix of a file that is being written
_TEMPORARY = ".kilonet-temporary-"
_SECONDS_OF_USE = 24 * 3600  # a temporary folder is not used longer


def data_cache() -> Path | None:
    """Return the directory of downloaded data sets, which may not exist; None without a home."""
    return _user_cache("data")


def kernel_cache() -> Path | None:
    """Return the directory of compiled kernels, which may not exist; None without a home."""
    return _user_cache("kernels")


def _user_cache(name: str) -> Path | None:
    from platformdirs import user_cache_path

    try:
        cache = user_cache_path("kilonet", appauthor=False) / name
    except RuntimeError:  # no HOME, and the system does not know the user
        return None
    return cache if cache.is_absolute() else None


def data_dir_from_environment() -> Path | None:
    """Return the directory named by ``KILONET_DATA``, or None if it is unset or empty."""
    value = os.environ.get(DATA_VARIABLE, "")
    return expand(value) if value else None


def runs_dir() -> Path:
    """Return the directory of runs: ``KILONET_RUNS``, or ``runs`` in the current directory."""
    return expand(os.environ.get(RUNS_VARIABLE) or "runs")


def studies_dir() -> Path:
    """Return the directory of studies: ``KILONET_STUDIES``, or ``studies`` in the current one."""
    return expand(os.environ.get(STUDIES_VARIABLE) or "studies")


def expand(path: str | Path) -> Path:
    """Return ``path`` with the home directory that a "~" at its beginning stands for."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        start = Path(path).parts[0]
        raise UsageError(
            f"{path}: there is no home directory {start}. Write the whole path instead."
        ) from None


def write_atomically(path: Path, write: Callable[[BinaryIO], object], mode: int = 0o666) -> None:
    """Call ``write`` with an open binary file and move the result to ``path`` in one step.

    The bytes are synced to disk before the rename, so a crash leaves either the old file or the
    new one. Its permissions are ``mode`` without those that the umask takes.
    """
    part = path.with_name(f".{path.name}.{os.urandom(6).hex()}{PART_SUFFIX}")
    try:
        with open(part, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` atomically."""
    write_atomically(path, lambda file: file.write(content))


def write_text(path: Path, content: str) -> None:
    """Write ``content`` to ``path`` as UTF-8, atomically; "?" stands for what has none."""
    write_bytes(path, content.encode("utf-8", "replace"))


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` to ``path`` as indented JSON, atomically."""
    write_text(path, printable_json(json.dumps(content, indent=1, ensure_ascii=False)) + "\n")


def csv_text(columns: Collection[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Return ``rows`` as CSV under a header of ``columns``; None is an empty cell.

    Texts that a spreadsheet would take for formulas begin with an apostrophe.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: csv_cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def remove_old(paths: Iterable[Path], seconds: float) -> None:
    """Remove this user's files and folders in ``paths`` that killed processes left.

    They are older than ``seconds``; what cannot be removed stays.
    """
    for path in paths:
        with suppress(OSError):
            status = path.lstat()
            own = not hasattr(os, "getuid") or status.st_uid == os.getuid()
            if not own or time.time() - status.st_mtime < seconds:
                continue
            if stat.S_ISDIR(status.st_mode):
                shutil.rmtree(path)
            else:
                path.unlink()


def temporary_folder(parent: Path | None = None) -> TemporaryDirectory[str]:
    """Return a temporary folder in ``parent`` (default: the system's) that is removed at the end.

    Folders that processes of this user left there, because they were killed, are removed.
    """
    from tempfile import TemporaryDirectory, gettempdir

    parent = parent or Path(gettempdir())
    remove_old(parent.glob(f"{_TEMPORARY}*"), _SECONDS_OF_USE)
    return TemporaryDirectory(prefix=_TEMPORARY, dir=parent, ignore_cleanup_errors=True)


@contextmanager
def write_errors(folder: Path, remedy: str) -> Iterator[None]:
    """Raise an OSError in writing to ``folder`` as a RunError that says what to do: ``remedy``."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise RunError(f"Cannot write to {folder}: {reason}. {remedy}") from error
