"""``claims.toml``: what the pages claim, the floors that bind, and what does not add up."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from kilonet.errors import DataError
from reproduction.figures import Figure, parse_figure

Stated = Annotated[Figure, BeforeValidator(parse_figure)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Page(_Table):
    """A page, by its number ("" for what is ours alone), and what does not add up in it."""

    number: str
    title: str
    notes: list[str]


class Why(_Table):
    """Why a claim does not stand, aspect by aspect, where that has been found out.

    ``{label}`` in a text stands for the test accuracy of that probe.
    """

    parameters: str = ""
    epochs: str = ""
    accuracy: str = ""


class Measured(_Table):
    """What ``results/LABEL.json`` measures: a shipped recipe, possibly with overrides."""

    label: str
    recipe: str
    overrides: list[str] = []


class Claim(Measured):
    """What a page (or, if ``ours``, our own goal) says about a recipe. Accuracies in percent."""

    page: str
    ours: bool = False
    beside: str = ""
    parameters: Stated
    epochs: Stated
    accuracy: Stated
    train_accuracy: Stated | None = None
    by_epoch: dict[int, Stated] = {}
    why: Why = Why()


class Floor(_Table):
    """What one of ``recipes`` (labels) has to reach, finished or after ``at_epoch`` epochs."""

    page: str
    accuracy: Stated
    at_epoch: int | None = None
    parameters: Stated | None = None
    epochs: Stated | None = None
    recipes: list[str]


class Dataset(_Table):
    """The images everything is measured on: its name, and how many it has."""

    name: str
    train: int
    test: int


class Selection(_Table):
    """The recipes that a table or a picture shows, in order."""

    recipes: list[str]


class Claims(_Table):
    """The whole file."""

    dataset: Dataset
    page: list[Page]
    claim: list[Claim]
    probe: list[Measured]
    floor: list[Floor]
    readme: Selection
    curves: Selection

    @property
    def measured(self) -> list[Measured]:
        """All that a results file is wanted for: claims, and probes of why one does not stand."""
        return [*self.claim, *self.probe]

    def of_page(self, number: str) -> list[Claim]:
        """Return the claims of one page, in the file's order."""
        return [claim for claim in self.claim if claim.page == number]

    def labelled(self, label: str) -> Claim:
        """Return the claim that results file ``label`` measures."""
        return next(claim for claim in self.claim if claim.label == label)


def read_claims(path: Path) -> Claims:
    """Return what ``path`` holds.

    Raises:
        DataError: it is not TOML, a key or a figure is wrong, or a name leads nowhere.
    """
    try:
        claims = Claims.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise DataError(f"{path}: {error}. Correct that entry.") from None
    labels = {claim.label for claim in claims.claim}
    used = {label for floor in claims.floor for label in floor.recipes}
    for label in sorted(used.union(claims.readme.recipes, claims.curves.recipes) - labels):
        raise DataError(f'{path}: no claim is labelled "{label}". Add one, or correct the name.')
    return claims
