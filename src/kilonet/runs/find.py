"""Find runs: by path, by name, all in a folder, and the trained models that ship.

A shipped model is a finished run with fewer files, so every command that takes a run's name takes
the name of such a model too. Its ``card.json`` has the results of the recipe's other seeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from kilonet.errors import RunError, UsageError, nearest
from kilonet.files import runs_dir
from kilonet.runs import layout
from kilonet.runs.directory import RunDirectory
from kilonet.runs.layout import FileContent, RunFacts, checked, read_json

SHIPPED_FOLDER = Path(__file__).resolve().parents[1] / "pretrained"
CARD = "card.json"


def is_run(source: str | Path) -> bool:
    """Return whether ``open_run`` finds ``source``."""
    return _folder(source) is not None


def open_run(source: str | Path) -> RunDirectory:
    """Return the run ``source``: a path, a name in the runs directory, or a shipped model."""
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
    run = RunDirectory(folder, checked(facts, RunFacts, path))
    recorded = facts.get(layout.CHECKSUMS_KEY, {}).get(layout.RUN)
    if recorded not in (None, layout.facts_checksum(facts)):
        raise RunError(f"{path} is damaged: its checksum does not fit. Restore it, or train again.")
    return run


@dataclass(frozen=True)
class RunList:
    """The runs in a folder, oldest first, and a message for each that cannot be read."""

    runs: list[RunDirectory]
    unreadable: list[str]


def list_runs(folder: Path) -> RunList:
    """Return the runs in ``folder``; none if the folder does not exist.

    Raises:
        RunError: the folder cannot be read.
    """
    listing = RunList([], [])
    try:
        paths = sorted(file.parent for file in folder.glob(f"*/{layout.RUN}"))
        if not paths and folder.exists() and not folder.is_dir():
            raise RunError(f"{folder} is not a folder.")
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
    return next((path for path in _candidates(source) if _is_file(path / layout.RUN)), None)


def _candidates(source: str | Path) -> Iterator[Path]:
    yield Path(source)
    yield runs_dir() / source
    if Path(source).name == str(source):
        yield SHIPPED_FOLDER / source


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # ValueError: not a valid file name
        return False


def _no_run(source: str | Path) -> str:
    where = runs_dir()
    names = [run.name for run in list_runs(where).runs]
    names += [model.name for model in shipped_models()]
    return (
        f'There is no run "{source}" here or in {where}, and no model of that name ships.'
        f'{nearest(str(source), names)} "kilonet runs" and "kilonet models" list them.'
    )


def _maker(facts: dict[str, Any]) -> str:
    environment = facts.get("environment")
    version = environment.get("kilonet") if isinstance(environment, dict) else None
    return f"Kilonet {version}" if version else "the version that made it"


class SeedResult(FileContent):
    """The test result of one run of the model's recipe."""

    seed: int
    test_correct: int
    test_total: Annotated[int, Field(ge=1)]


class ShippedCard(FileContent):
    """The content of ``card.json``: all seeds of the recipe, and the seed whose weights ship."""

    shipped_seed: int
    seeds: Annotated[list[SeedResult], Field(min_length=1)]


@dataclass(frozen=True)
class ShippedModel:
    """A trained model that ships: its folder, and the results of its recipe over the seeds."""

    path: Path
    card: ShippedCard

    @property
    def name(self) -> str:
        """The model's name."""
        return self.path.name

    @property
    def accuracies(self) -> list[float]:
        """The test accuracy of each seed, as a fraction."""
        return [run.test_correct / run.test_total for run in self.card.seeds]


def shipped_models() -> list[ShippedModel]:
    """Return the shipped models, sorted by name.

    Raises:
        RunError: a card is damaged.
    """
    folders = sorted(file.parent for file in SHIPPED_FOLDER.glob(f"*/{layout.RUN}"))
    return [ShippedModel(folder, _card(folder / CARD)) for folder in folders]


def card_in(folder: Path) -> ShippedCard | None:
    """Return the card in a run's folder; None unless the run is a shipped model.

    Raises:
        RunError: the card is damaged.
    """
    return _card(folder / CARD) if (folder / CARD).exists() else None


def _card(path: Path) -> ShippedCard:
    return ShippedCard.model_validate(checked(read_json(path), ShippedCard, path))
