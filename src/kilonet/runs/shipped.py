"""The trained models that come with the package.

Each is a finished run of which the files that are read are kept, so that whatever takes a run by
its name takes such a model by its name. Beside them, ``card.json`` says what the runs of the other
seeds reached.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from kilonet.runs import layout
from kilonet.runs.records import Record, checked, read_json

FOLDER = Path(__file__).resolve().parents[1] / "pretrained"
CARD = "card.json"


class SeedFigures(Record):
    """One run of the model's recipe: what its last weights do on the test split."""

    seed: int
    test_correct: int
    test_total: Annotated[int, Field(ge=1)]


class Card(Record):
    """The content of ``card.json``: every seed of the recipe, and which one's weights ship."""

    shipped_seed: int
    seeds: Annotated[list[SeedFigures], Field(min_length=1)]


@dataclass(frozen=True)
class Shipped:
    """A model that ships: where it is, and how its recipe fares over the seeds."""

    path: Path
    card: Card

    @property
    def name(self) -> str:
        """What it is called."""
        return self.path.name

    @property
    def accuracies(self) -> list[float]:
        """The test accuracy of each seed, as a fraction."""
        return [run.test_correct / run.test_total for run in self.card.seeds]


def shipped_models() -> list[Shipped]:
    """Return the models that ship, in the order of their names.

    Raises:
        RunError: a card is damaged.
    """
    folders = sorted(file.parent for file in FOLDER.glob(f"*/{layout.RUN}"))
    return [Shipped(folder, _card(folder / CARD)) for folder in folders]


def card_in(folder: Path) -> Card | None:
    """Return the card in the folder of a run, where it is that of a model that ships.

    Raises:
        RunError: it is damaged.
    """
    return _card(folder / CARD) if (folder / CARD).exists() else None


def _card(path: Path) -> Card:
    return Card.model_validate(checked(read_json(path), Card, path))
