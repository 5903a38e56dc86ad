"""A study's directory: its plan, its lock, its runs, and what came of them.

``study.json`` comes first: the format version and the plan. The runs are in ``runs/``, each the
directory of an ordinary run, and are the only memory of what has been done.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kilonet import __version__
from kilonet.atomic import write_text
from kilonet.errors import RunError, StudyError, UsageError
from kilonet.runs import layout
from kilonet.runs.directory import RunDirectory, locked
from kilonet.runs.find import open_run
from kilonet.runs.layout import read_json
from kilonet.studies.plan import Plan

FORMAT = 1

STUDY = "study.json"
RUNS = "runs"
RESULTS = "results.json"
REPORT = "report.html"
STORE = "search.sqlite3"


@dataclass(frozen=True)
class StudyDirectory:
    """A study on disk."""

    path: Path
    plan: Plan

    @property
    def runs(self) -> Path:
        """The folder of its runs."""
        return self.path / RUNS

    def file(self, name: str) -> Path:
        """Return the path of its file called ``name``."""
        return self.path / name

    def run(self, name: str) -> RunDirectory | None:
        """Return its run called ``name``, None where that has not begun.

        Raises:
            RunError: it is damaged, or of another format.
        """
        path = self.runs / name
        return open_run(path) if (path / layout.RUN).is_file() else None

    def finished(self, name: str) -> RunDirectory | None:
        """Return its run called ``name`` if that has been trained to its end."""
        run = self.run(name)
        return run if run is not None and run.finished else None


@contextmanager
def opened(path: Path, plan: Plan) -> Iterator[StudyDirectory]:
    """Make the study's directory, or go on with the one there; no other process can meanwhile.

    Raises:
        UsageError: a study is there that has runs which ``plan`` would not make; or a folder that
            is no study.
        StudyError: it is in use, of another format, damaged, or cannot be written.
    """
    _require_study_or_nothing(path)
    try:
        (path / RUNS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudyError(
            f"Cannot write a study to {path}: {error.strerror or error}. Name another with --name."
        ) from None
    busy = f"{path} is in use: another process runs this study. Wait, or stop it."
    with locked(path, StudyError(busy)):
        _agree(path, plan)
        yield StudyDirectory(path, plan)


def read_study(path: Path) -> StudyDirectory:
    """Return the study at ``path``.

    Raises:
        UsageError: there is none.
        StudyError: it is of another format, or damaged.
    """
    file = path / STUDY
    if not file.is_file():
        raise UsageError(f"There is no study in {path}.")
    return StudyDirectory(path, _read_plan(file))


def _require_study_or_nothing(path: Path) -> None:
    with suppress(OSError):
        if (path / STUDY).is_file() or not path.exists():
            return
        if path.is_dir() and {entry.name for entry in path.iterdir()} <= {RUNS, layout.LOCK}:
            return  # it was stopped before its plan was written
    raise UsageError(f"{path} is in use for something else. Name the study with --name.")


def _agree(path: Path, plan: Plan) -> None:
    """Check that ``plan`` goes on with the one that is there, and write it if there is news."""
    file = path / STUDY
    earlier = _read_plan(file) if file.is_file() else None
    if earlier is not None and (departure := plan.departure_from(earlier)):
        raise UsageError(
            f"{path} is another study: {departure}. Give this one a name of its own with --name, "
            "or repeat the line that began it."
        )
    if plan != earlier:
        content = {
            "format": FORMAT,
            "kilonet": __version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "plan": plan.to_json(),
        }
        write_text(file, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _read_plan(file: Path) -> Plan:
    content = _read(file)
    version = content.get("format")
    if isinstance(version, int) and version != FORMAT:
        raise StudyError(
            f"{file.parent} is a study of format {version}; this version of Kilonet reads format "
            f"{FORMAT}. Use Kilonet {content.get('kilonet', 'of the version that made it')}, or "
            "another --name."
        )
    try:
        return Plan.from_json(content["plan"])
    except (LookupError, TypeError, ValueError) as error:
        raise StudyError(
            f"{file} is damaged ({error}). Its runs are whole: move the folder away to begin anew."
        ) from None


def _read(file: Path) -> dict[str, Any]:
    try:
        return read_json(file)
    except RunError as error:
        raise StudyError(str(error)) from None
