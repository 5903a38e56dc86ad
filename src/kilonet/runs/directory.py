"""A run's directory: create it, lock it, read and write its files (``layout`` names them).

``run.json`` describes the run: the format version, the recipe's name and fingerprint, the data set,
the environment, and whether the run has finished. A folder without it is not a run. One process at
a time writes to a run; any number may read it.
"""

from __future__ import annotations

import errno
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kilonet.content import file_checksum
from kilonet.data.registry import spec
from kilonet.data.specs import DataInfo
from kilonet.errors import KilonetError, RecipeError, RunError
from kilonet.files import (
    PART_SUFFIX,
    csv_text,
    runs_dir,
    write_bytes,
    write_errors,
    write_json,
    write_text,
)
from kilonet.recipe.fingerprint import fingerprint, to_toml
from kilonet.recipe.load import Resolved, parse_recipe
from kilonet.recipe.schema import Recipe
from kilonet.runs import layout
from kilonet.runs.layout import Row, StoredMetrics, checked, read_history, read_json, read_text


@dataclass(frozen=True)
class RunDirectory:
    """A run on disk. ``facts`` is the content of ``run.json``."""

    path: Path
    facts: dict[str, Any]

    @property
    def name(self) -> str:
        """The directory's name."""
        return self.path.resolve().name

    @property
    def finished(self) -> bool:
        """Whether training is complete and the report is written."""
        return bool(self.facts["finished"])

    def require_finished(self) -> None:
        """Check that the run has finished."""
        if not self.finished:
            raise RunError(
                f"{self.path} has not finished. Resume it: kilonet train --resume {self.path}"
            )

    def file(self, name: str) -> Path:
        """Return the path of the file ``name`` (see ``layout``) in this run."""
        return self.path / name

    def checked_file(self, name: str) -> Path:
        """Return the path of the file ``name`` after comparing its checksum with ``run.json``."""
        path = self.file(name)
        recorded = self.facts.get(layout.CHECKSUMS_KEY, {}).get(name)
        try:
            if recorded in (None, file_checksum(path)):
                return path
        except FileNotFoundError:
            return path
        except OSError as error:
            raise RunError(f"{path} cannot be read: {error.strerror or error}.") from None
        raise RunError(
            f"{path} is damaged, or belongs to another run: its checksum is not the one in "
            f"{layout.RUN}. Restore the file, or train again."
        )

    def recipe(self) -> Recipe:
        """Return the resolved recipe of the run."""
        path = self.checked_file(layout.RECIPE)
        try:
            return parse_recipe(read_text(path), str(path))
        except RecipeError as error:
            raise RunError(f"The recipe of a run is damaged: {error}") from None

    def data_info(self) -> DataInfo:
        """Return what ``run.json`` says about the images; the data itself is not needed."""
        stored = self.facts.get(layout.DATA_KEY)
        if stored is not None:
            return DataInfo.from_json(stored)
        return DataInfo.of_published(spec(self.recipe().data.name))

    def history(self) -> list[Row]:
        """Return one row per finished epoch.

        Raises:
            RunError: the file is damaged.
        """
        path = self.checked_file(layout.HISTORY)
        return read_history(path) if path.exists() else []

    def metrics(self) -> dict[str, Any]:
        """Return the final metrics; an empty dict if the run has not finished.

        Raises:
            RunError: the file is damaged, or missing from a finished run.
        """
        path = self.checked_file(layout.METRICS)
        if not path.exists() and not self.finished:
            return {}
        return checked(read_json(path), StoredMetrics, path)

    def write_history(self, history: list[Row]) -> None:
        """Replace the history table."""
        columns = list(dict.fromkeys(key for row in history for key in row))
        rows = ({**row, "epoch": int(row["epoch"])} for row in history)
        write_text(self.file(layout.HISTORY), csv_text(columns, rows))

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Write ``content`` to the file ``name`` in this run."""
        write_json(self.file(name), content)

    def update_facts(self, **facts: Any) -> RunDirectory:
        """Write changed ``facts`` to ``run.json`` and return the updated run."""
        content = {**self.facts, **facts}
        if checksums := content.get(layout.CHECKSUMS_KEY):
            own = {layout.RUN: layout.facts_checksum(content)}
            content[layout.CHECKSUMS_KEY] = {**checksums, **own}
        changed = RunDirectory(self.path, content)
        self.write_json(layout.RUN, changed.facts)
        return changed

    def mark_finished(self, **facts: Any) -> RunDirectory:
        """Write that the run is finished, ``facts`` and the checksums of its results."""
        written = [name for name in layout.RESULTS if self.file(name).exists()]
        checksums = {name: file_checksum(self.file(name)) for name in written}
        return self.update_facts(finished=True, **facts, **{layout.CHECKSUMS_KEY: checksums})

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the directory against other training processes.

        The lock ends with the process, even if it is killed.

        Raises:
            RunError: another process has the lock, or the directory cannot be written.
        """
        busy = f"{self.path} is in use: another process is training there. Wait or stop it."
        with locked(self.path, RunError(busy)):
            yield


@contextmanager
def new_run(
    resolved: Resolved,
    facts: dict[str, Any],
    path: Path | None = None,
    sources: Mapping[str, bytes] | None = None,
) -> Iterator[RunDirectory]:
    """Create a run's directory, ``path`` or the next free ``runs/RECIPE-N``, and lock it meanwhile.

    ``facts`` must contain ``environment`` (see ``layout.EnvironmentFacts``) and ``data_note``;
    other facts are optional. ``sources`` is the code of the user's own network, by file name. If a
    file cannot be written, nothing is left behind.

    Raises:
        RunError: ``path`` is in use already, or cannot be written.
    """
    content = {
        "format": layout.FORMAT,
        "recipe": resolved.name,
        "fingerprint": fingerprint(resolved.recipe),
        "created": datetime.now(UTC).isoformat(timespec="microseconds"),
        "finished": False,
        **facts,
    }
    remedy = "Name another directory with --out."
    with write_errors(path if path is not None else runs_dir(), remedy):
        folder = _create_unused(path) if path is not None else _next_free(resolved.name)
    busy = RunError(f"{folder} is in use: another process is training there. {remedy}")
    with locked(folder, busy):
        require_unused(folder)  # it was not locked when it was examined first
        with write_errors(folder, remedy):
            run = _write_first_files(RunDirectory(folder, content), resolved.recipe, sources or {})
        yield run


def require_unused(path: Path) -> None:
    """Check that ``path`` does not exist, or is an empty directory.

    A directory with nothing but the first files of a run that was killed at once counts as empty.
    """
    try:
        if not path.exists() or (path.is_dir() and _is_unused(path)):
            return
        is_run = (path / layout.RUN).is_file()
    except OSError as error:
        raise RunError(
            f"{path} cannot be a run's directory: {error.strerror or error}. "
            "Name another directory with --out."
        ) from None
    resume = f", or resume that run: kilonet train --resume {path}" if is_run else ""
    raise RunError(
        f"{path} is in use already. Name another directory with --out, "
        f"one that is new or empty{resume}."
    )


_FIRST_FILES = {layout.LOCK, layout.RECIPE, layout.SOURCE}  # written before ``run.json``


def _is_unused(folder: Path) -> bool:
    names = {entry.name for entry in folder.iterdir() if not _is_incomplete(entry.name)}
    return not names or (layout.LOCK in names and names <= _FIRST_FILES)


def _is_incomplete(name: str) -> bool:
    """Return whether ``name`` is that of a file that ``write_atomically`` writes."""
    return name.startswith(".") and name.endswith(PART_SUFFIX)


def _create_unused(path: Path) -> Path:
    require_unused(path)
    path.mkdir(parents=True, exist_ok=True)
    return path


def _next_free(recipe: str) -> Path:
    folder = runs_dir()
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        path = folder / f"{recipe}-{number}"
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
        else:
            return path


def _write_first_files(
    run: RunDirectory, recipe: Recipe, sources: Mapping[str, bytes]
) -> RunDirectory:
    """Write recipe and sources, then ``run.json``: only a folder with that file counts as a run."""
    try:
        write_text(run.file(layout.RECIPE), to_toml(recipe))
        for name, content in sources.items():
            path = run.file(layout.SOURCE) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, content)
        return run.update_facts()
    except BaseException:
        shutil.rmtree(run.file(layout.SOURCE), ignore_errors=True)
        for name in (layout.RECIPE, layout.LOCK):
            run.file(name).unlink(missing_ok=True)
        with suppress(OSError):
            run.path.rmdir()
        raise


@contextmanager
def locked(folder: Path, busy_error: KilonetError, timeout: float = 0) -> Iterator[None]:
    """Lock ``folder`` against other processes; remove files that a killed process left incomplete.

    Waits ``timeout`` seconds for another process's lock. The lock ends with the process, even if it
    is killed.

    Raises:
        KilonetError: ``busy_error`` if another process has the lock; an error of the same class if
            the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / layout.LOCK, timeout=timeout)
    try:
        lock.acquire()
    except Timeout:
        raise busy_error from None
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP):
            raise type(busy_error)(
                f"Cannot write to {folder}: {error.strerror or error}."
            ) from None
        warnings.warn(
            f"The file system of {folder} has no locks: start no second process there.",
            stacklevel=3,
        )
    try:
        for incomplete in folder.glob(f".*{PART_SUFFIX}"):
            incomplete.unlink()
        yield
    finally:
        lock.release()
