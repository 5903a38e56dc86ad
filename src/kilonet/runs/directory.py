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
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kilonet.atomic import write_text
from kilonet.errors import RecipeError, RunError
from kilonet.paths import runs_dir
from kilonet.recipe.describe import fingerprint, plain
from kilonet.recipe.load import Resolved, parse_recipe
from kilonet.recipe.schema import Recipe
from kilonet.runs import layout
from kilonet.runs.lock import locked
from kilonet.runs.records import Figures, Row, checked, read_history, read_json, read_text


@dataclass(frozen=True)
class RunDirectory:
    """A run on disk. ``facts`` is the content of its ``run.json``."""

    path: Path
    facts: dict[str, Any]

    @property
    def name(self) -> str:
        """The directory's own name."""
        return self.path.resolve().name

    @property
    def finished(self) -> bool:
        """Whether training ended and the report was written."""
        return bool(self.facts["finished"])

    def require_finished(self) -> None:
        """Check that the run has been trained to its end.

        Raises:
            RunError: it has not; the message says how to go on with it.
        """
        if not self.finished:
            raise RunError(
                f"{self.path} has not finished. Go on with it: kilonet train --resume {self.path}"
            )

    def file(self, name: str) -> Path:
        """Return the path of the file called ``name`` (see ``layout``) in this run."""
        return self.path / name

    def recipe(self) -> Recipe:
        """Return the resolved recipe that the run follows.

        Raises:
            RunError: its file is missing, or no longer a recipe.
        """
        path = self.file(layout.RECIPE)
        try:
            return parse_recipe(read_text(path), str(path))
        except RecipeError as error:
            raise RunError(f"The recipe of a run is damaged: {error}") from None

    def history(self) -> list[Row]:
        """Return a row an epoch; empty before the first epoch ended.

        Raises:
            RunError: its file is damaged.
        """
        path = self.file(layout.HISTORY)
        return read_history(path) if path.exists() else []

    def metrics(self) -> dict[str, Any]:
        """Return what was measured at the end; an empty dict before that.

        Raises:
            RunError: its file is damaged, or missing from a finished run.
        """
        path = self.file(layout.METRICS)
        if not path.exists() and not self.finished:
            return {}
        return checked(read_json(path), Figures, path)

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
            RunError: another process is doing so, or the directory cannot be written. The lock goes
                with its process, however that ends.
        """
        busy = f"{self.path} is in use: another process is training there. Wait or stop it."
        with locked(self.path, RunError(busy)):
            yield


def create_run(resolved: Resolved, facts: dict[str, Any], path: Path | None = None) -> RunDirectory:
    """Make a new run's directory: ``path``, or the next free ``runs/RECIPE-N``.

    ``facts`` are its ``environment`` (see ``records.Environment``), its ``data_note`` and whatever
    else is to be recorded. If anything cannot be written, nothing is left behind.

    Raises:
        RunError: ``path`` is in use already, or nothing can be written there.
    """
    content = {
        "format": layout.FORMAT,
        "recipe": resolved.name,
        "fingerprint": fingerprint(resolved.recipe),
        "created": datetime.now(UTC).isoformat(timespec="microseconds"),
        "finished": False,
        **facts,
    }
    try:
        folder = _claim(path) if path is not None else _next_free(resolved.name)
        return _fill(RunDirectory(folder, content), resolved.recipe)
    except OSError as error:
        where = path if path is not None else runs_dir()
        raise RunError(
            f"Cannot write a run to {where}: {error.strerror or error}. "
            "Name another directory with --out."
        ) from error


def require_free(path: Path) -> None:
    """Check that ``path`` is not there yet, or an empty directory.

    Raises:
        RunError: it is something else, or cannot be looked at.
    """
    try:
        if not path.exists() or (path.is_dir() and not any(path.iterdir())):
            return
        is_run = (path / layout.RUN).is_file()
    except OSError as error:
        raise RunError(
            f"{path} cannot be a run's directory: {error.strerror or error}. "
            "Name another directory with --out."
        ) from None
    going_on = f", or go on with that run: kilonet train --resume {path}" if is_run else ""
    raise RunError(
        f"{path} is in use already. Name another directory with --out, "
        f"one that is new or empty{going_on}."
    )


def _claim(path: Path) -> Path:
    require_free(path)
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


def _fill(run: RunDirectory, recipe: Recipe) -> RunDirectory:
    """Write the first files; the one that makes a folder a run comes last."""
    try:
        write_text(run.file(layout.RECIPE), plain(recipe))
        return run.updated()
    except BaseException:
        run.file(layout.RECIPE).unlink(missing_ok=True)
        with suppress(OSError):
            run.path.rmdir()
        raise
