"""Finding runs on disk: by path, by name, all of a folder. Models that ship are runs too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kilonet.errors import RunError, UsageError, nearest
from kilonet.paths import runs_dir
from kilonet.runs import layout, shipped
from kilonet.runs.directory import RunDirectory
from kilonet.runs.records import Facts, checked, read_json


def is_run(source: str | Path) -> bool:
    """Say whether ``open_run`` would find ``source``."""
    return _folder(source) is not None


def open_run(source: str | Path) -> RunDirectory:
    """Return the run at the path ``source``, or called so in the runs directory, or that ships.

    Raises:
        UsageError: there is no such run.
        RunError: it is damaged, or of a format that this version does not read.
    """
    folder = _folder(source)
    if folder is None:
        raise UsageError(_no_run(source))
    path = folder / layout.RUN
    facts = read_json(path)
    version = facts.get("format")
    if isinstance(version, int) and version != layout.FORMAT:
        raise RunError(
            f"{folder} is a run of format {version}; this version of Kilonet reads format "
            f"{layout.FORMAT}. Use {_maker(facts)}, or train its recipe.toml again."
        )
    return RunDirectory(folder, checked(facts, Facts, path))


@dataclass(frozen=True)
class Listing:
    """The runs in a folder, the oldest first, and a message on each that cannot be read."""

    runs: list[RunDirectory]
    unreadable: list[str]


def list_runs(folder: Path) -> Listing:
    """Return what runs there are in ``folder``; none if there is no such folder.

    Raises:
        RunError: the folder cannot be read.
    """
    listing = Listing([], [])
    try:
        paths = sorted(file.parent for file in folder.glob(f"*/{layout.RUN}"))
    except OSError as error:
        raise RunError(f"{folder} cannot be read: {error.strerror or error}.") from None
    for path in paths:
        try:
            listing.runs.append(open_run(path))
        except RunError as error:
            listing.unreadable.append(str(error))
    listing.runs.sort(key=lambda run: (str(run.facts["created"]), run.name))
    return listing


def _folder(source: str | Path) -> Path | None:
    return next((path for path in _places(source) if _is_file(path / layout.RUN)), None)


def _places(source: str | Path) -> Iterator[Path]:
    yield Path(source)
    yield runs_dir() / source
    if Path(source).name == str(source):
        yield shipped.FOLDER / source


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _no_run(source: str | Path) -> str:
    where = runs_dir()
    names = [run.name for run in list_runs(where).runs]
    names += [model.name for model in shipped.shipped_models()]
    return (
        f'There is no run "{source}" here or in {where}, and no model of that name ships.'
        f'{nearest(str(source), names)} "kilonet runs" and "kilonet models" list them.'
    )


def _maker(facts: dict[str, Any]) -> str:
    environment = facts.get("environment")
    version = environment.get("kilonet") if isinstance(environment, dict) else None
    return f"Kilonet {version}" if version else "the version that made it"
