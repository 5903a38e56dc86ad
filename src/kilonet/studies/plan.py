"""What a study is to do: its cells as whole recipes, its seeds, and the runs that these make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from kilonet.errors import UsageError
from kilonet.recipe.describe import plain
from kilonet.recipe.load import Resolved, parse_recipe
from kilonet.recipe.schema import Recipe
from kilonet.studies.grid import Cell

MOST_RUNS = 100_000


@dataclass(frozen=True)
class Job:
    """One run to be made: its name, the name of its recipe, and that recipe whole, as TOML."""

    name: str
    recipe: str
    toml: str
    asks: bool = False
    """Whether it waits after each epoch for leave to go on: only the trials of a search do."""


@dataclass(frozen=True)
class PlannedCell:
    """A cell of the grid with everything decided: ``toml`` is its recipe, less the seed."""

    label: str
    slug: str
    words: list[str]
    toml: str


@dataclass(frozen=True)
class Plan:
    """Everything that decides which runs a study makes."""

    recipe: str
    cells: list[PlannedCell]
    seeds: list[int]
    baseline: int = 0
    search: dict[str, Any] | None = field(default=None)
    """What is searched, where anything is; there is one cell then, without seeds."""

    def jobs(self) -> list[Job]:
        """Return the runs, seed by seed, so that every cell has some early."""
        return [
            Job(self.run_name(cell, seed), self.recipe, with_seed(cell.toml, seed))
            for seed in self.seeds
            for cell in self.cells
        ]

    def run_names(self) -> list[str]:
        """Return the names of all runs."""
        return [self.run_name(cell, seed) for seed in self.seeds for cell in self.cells]

    def run_name(self, cell: PlannedCell, seed: int) -> str:
        """Return the name of a run's directory."""
        return f"{cell.slug}-s{seed}"

    def epochs(self) -> int:
        """Return the most epochs that any cell trains for."""
        return max(parse_recipe(cell.toml, cell.label).training.epochs for cell in self.cells)

    def to_json(self) -> dict[str, Any]:
        """Return the same as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Plan:
        """Return what ``to_json`` wrote; raises TypeError or LookupError where it is not that."""
        cells = [PlannedCell(**cell) for cell in values["cells"]]
        return cls(**{**values, "cells": cells})

    def departure_from(self, earlier: Plan) -> str | None:
        """Say which of the runs of ``earlier`` this plan would not make; None if it makes all.

        A plan may grow by seeds and cells. What was computed stays valid then.
        """
        if self.recipe != earlier.recipe:
            return f"its recipe is {earlier.recipe}, not {self.recipe}"
        if self.search != earlier.search:
            return "it searches something else"
        mine = {cell.slug: cell for cell in self.cells}
        for cell in earlier.cells:
            if cell.slug not in mine:
                return f'it has the cell "{cell.label}", which this line has not'
            if not _same_recipe(mine[cell.slug].toml, cell.toml):
                return f'the recipe of its cell "{cell.label}" was another'
        if not {*earlier.seeds} <= {*self.seeds}:
            return f"it has {len(earlier.seeds)} seeds, this line {len(self.seeds)}"
        return None


def make_plan(
    resolved: Sequence[Resolved], cells: Sequence[Cell], seeds: int, baseline: int
) -> Plan:
    """Return the plan of ``cells``, whose recipes are ``resolved``, each with as many ``seeds``.

    The first seed is the recipe's own. Each run computes with one thread unless the recipe says
    otherwise, so that it comes out the same wherever it is made.

    Raises:
        UsageError: no seeds, more runs than anyone could want, or two cells that are the same.
    """
    if seeds < 1:
        raise UsageError(f"--seeds must be at least 1, not {seeds}.")
    if seeds * len(cells) > MOST_RUNS:
        raise UsageError(f"That is {seeds * len(cells):,} runs; at most {MOST_RUNS:,} are planned.")
    planned = [
        PlannedCell(cell.label, cell.slug, list(cell.words), plain(settled(one.recipe)))
        for cell, one in zip(cells, resolved, strict=True)
    ]
    _all_different(planned)
    first = resolved[0].recipe.training.seed
    return Plan(resolved[0].name, planned, list(range(first, first + seeds)), baseline)


def settled(recipe: Recipe) -> Recipe:
    """Return ``recipe`` with one worker and one thread where it leaves them to the machine."""
    training = recipe.training
    workers = 1 if training.workers == "auto" else training.workers
    update = {"threads": training.threads or 1, "workers": workers}
    return recipe.model_copy(update={"training": training.model_copy(update=update)})


def with_seed(toml: str, seed: int) -> str:
    """Return the recipe ``toml`` with its seed replaced."""
    recipe = parse_recipe(toml, "the study's plan")
    training = recipe.training.model_copy(update={"seed": seed})
    return plain(recipe.model_copy(update={"training": training}))


def _same_recipe(toml: str, earlier: str) -> bool:
    """Return whether two cells have the same recipe; an earlier version wrote other keys."""
    return toml == earlier or parse_recipe(toml, "the study") == parse_recipe(earlier, "its plan")


def _all_different(cells: Sequence[PlannedCell]) -> None:
    seen: dict[str, str] = {}
    for cell in cells:
        if cell.toml in seen:
            raise UsageError(
                f'The cells "{seen[cell.toml]}" and "{cell.label}" are the same recipe. '
                "Leave one out."
            )
        seen[cell.toml] = cell.label
