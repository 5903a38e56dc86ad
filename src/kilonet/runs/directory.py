"""One run's directory: made once, used by one process at a time, read by any number.

``run.json`` comes first and says what the rest is: the format version, the recipe's name and
fingerprint, the data set really used, the environment, and whether the run has finished. A folder
without it is not a run.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kilonet.atomic import write_text
from kilonet.errors import RunError, UsageError
from kilonet.paths import runs_dir
from kilonet.recipe.describe import fingerprint, plain
from kilonet.recipe.load import Resolved, parse_recipe
from kilonet.recipe.schema import Recipe
from kilonet.runs import layout

Row = dict[str, float]


@dataclass(frozen=True)
class RunDirectory:
    """A run on disk. ``facts`` is the content of its ``run.json``."""

    path: Path
    facts: dict[str, Any]

    @property
    def name(self) -> str:
        """The directory's own name."""
        return self.path.name

    @property
    def finished(self) -> bool:
        """Whether training ended and the report was written."""
        return bool(self.facts["finished"])

    def file(self, name: str) -> Path:
        """Return the path of the file called ``name`` (see ``layout``) in this run."""
        return self.path / name

    def recipe(self) -> Recipe:
        """Return the resolved recipe that the run follows."""
        path = self.file(layout.RECIPE)
        return parse_recipe(_read(path), str(path))

    def history(self) -> list[Row]:
        """Return a row an epoch; empty before the first epoch ended."""
        path = self.file(layout.HISTORY)
        if not path.exists():
            return []
        try:
            reader = csv.DictReader(io.StringIO(_read(path)))
            return [{key: float(value) for key, value in row.items()} for row in reader]
        except (ValueError, TypeError):
            raise RunError(f"{path} is damaged: not a table of numbers.") from None

    def metrics(self) -> dict[str, Any]:
        """Return what was measured at the end; an empty dict before that."""
        path = self.file(layout.METRICS)
        return _read_json(path) if path.exists() else {}

    def write_history(self, history: list[Row]) -> None:
        """Replace the history table."""
        columns = list(dict.fromkeys(key for row in history for key in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "epoch": int(row["epoch"])} for row in history)
        write_text(self.file(layout.HISTORY), text.getvalue())

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Write ``content`` to the file ``name`` of this run."""
        write_text(self.file(name), json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    def updated(self, **facts: Any) -> RunDirectory:
        """Return the run with ``facts`` changed, after writing them to ``run.json``."""
        changed = RunDirectory(self.path, {**self.facts, **facts})
        self.write_json(layout.RUN, changed.facts)
        return changed

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process from training in this directory.

        Raises:
            RunError: another process is doing so. The lock goes with its process, however it ends.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self.file(layout.LOCK), timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise RunError(
                f"{self.path} is in use: another process is training there. Wait or stop it."
            ) from None
        try:
            yield
        finally:
            lock.release()


def create_run(resolved: Resolved, facts: dict[str, Any], path: Path | None = None) -> RunDirectory:
    """Make a new run's directory: ``path``, or the next free ``runs/RECIPE-N``.

    Raises:
        RunError: ``path`` is in use already, or nothing can be written there.
    """
    try:
        folder = _claim(path) if path is not None else _next_free(resolved.name)
        content = {
            "format": layout.FORMAT,
            "recipe": resolved.name,
            "fingerprint": fingerprint(resolved.recipe),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "finished": False,
            **facts,
        }
        run = RunDirectory(folder, content)
        write_text(run.file(layout.RECIPE), plain(resolved.recipe))
        return run.updated()
    except OSError as error:
        where = path if path is not None else runs_dir()
        raise RunError(
            f"Cannot write a run to {where}: {error.strerror or error}. "
            "Name another directory with --out."
        ) from error


def open_run(source: str | Path) -> RunDirectory:
    """Return the run at the path ``source``, or called ``source`` in the runs directory.

    Raises:
        UsageError: there is no such run.
        RunError: it is damaged, or of a format that this version does not read.
    """
    found = [path for path in (Path(source), runs_dir() / source) if (path / layout.RUN).is_file()]
    if not found:
        raise UsageError(
            f'There is no run "{source}" here or in {runs_dir()}. "kilonet runs" lists them.'
        )
    facts = _read_json(found[0] / layout.RUN)
    version = facts.get("format")
    if version != layout.FORMAT:
        raise RunError(
            f"{found[0]} is a run of format {version}; this version of Kilonet reads format "
            f"{layout.FORMAT}. Use Kilonet {_maker(facts)}, or train its recipe.toml again."
        )
    if "finished" not in facts or "recipe" not in facts:
        raise RunError(f"{found[0] / layout.RUN} is damaged: it lacks what every run records.")
    return RunDirectory(found[0], facts)


def list_runs(folder: Path) -> list[RunDirectory]:
    """Return the readable runs in ``folder``, the oldest first."""
    paths = [file.parent for file in folder.glob(f"*/{layout.RUN}")]
    runs = []
    for path in paths:
        try:
            runs.append(open_run(path))
        except (RunError, UsageError):
            continue
    return sorted(runs, key=lambda run: (str(run.facts.get("created")), run.name))


def _maker(facts: dict[str, Any]) -> str:
    environment = facts.get("environment")
    return str(environment.get("kilonet")) if isinstance(environment, dict) else "as it was then"


def _claim(path: Path) -> Path:
    """Make ``path``; an empty directory is fine, one with anything in it is not."""
    path.mkdir(parents=True, exist_ok=True)
    if any(path.iterdir()):
        raise RunError(
            f"{path} is in use already. Name another directory with --out, "
            f"or go on with that run: kilonet train --resume {path}"
        )
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


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RunError(f"{path} is missing: the run is not complete.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path} cannot be read: {error}.") from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(_read(path))
    except (json.JSONDecodeError, RecursionError):
        raise RunError(f"{path} is damaged: it is not JSON.") from None
    if not isinstance(content, dict):
        raise RunError(f"{path} is damaged: it holds no table.")
    return content


def is_run(source: str | Path) -> bool:
    """Say whether ``source`` is the path of a run, or the name of one in the runs directory."""
    return any((path / layout.RUN).is_file() for path in (Path(source), runs_dir() / source))
