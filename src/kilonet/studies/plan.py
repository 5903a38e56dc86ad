"""The request for a study, and its plan: cells as complete recipes, seeds, and the runs to make."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from kilonet.errors import UsageError
from kilonet.files import studies_dir
from kilonet.recipe.catalog import SUFFIX
from kilonet.recipe.fingerprint import to_toml
from kilonet.recipe.keys import as_overrides
from kilonet.recipe.load import Resolved, parse_recipe, resolve
from kilonet.recipe.schema import Recipe
from kilonet.studies.grid import Axis, GridCell, baseline_of, cells_of, parse_axes, slug_of

MAX_RUNS = 100_000
_MAX_NAME_LENGTH = 120

Vary: TypeAlias = Mapping[str, Sequence[Any]] | Sequence[str]
"""Keys and their values, or words such as ``"optimizer.name=adam,sgd"``."""


@dataclass(frozen=True)
class RunJob:
    """One run to make: its name, the name of its recipe, and the complete recipe as TOML."""

    name: str
    recipe: str
    toml: str
    prunable: bool = False
    """Whether the run waits after each epoch for the reply whether to continue (trials do)."""


@dataclass(frozen=True)
class PlannedCell:
    """A cell of the grid; ``toml`` is its complete recipe, whose seed each run replaces."""

    label: str
    slug: str
    overrides: list[str]
    toml: str

    def to_json(self) -> dict[str, Any]:
        """Return the fields under the names that ``study.json`` has for them."""
        names = {"overrides": "words"}
        return {names.get(key, key): value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> PlannedCell:
        """Return the cell that ``to_json`` wrote; raise LookupError if a field is missing."""
        return cls(values["label"], values["slug"], values["words"], values["toml"])


@dataclass(frozen=True)
class StudyPlan:
    """Everything that determines the runs of a study."""

    recipe: str
    cells: list[PlannedCell]
    seeds: list[int]
    baseline: int = 0
    """Index of the cell that the others are compared with."""
    search: dict[str, Any] | None = None
    """The search space, if this is a search; then there is one cell and no seeds."""

    def jobs(self) -> list[RunJob]:
        """Return the runs, seed by seed, so that every cell has some results early."""
        return [
            RunJob(self.run_name(cell, seed), self.recipe, with_seed(cell.toml, seed))
            for seed in self.seeds
            for cell in self.cells
        ]

    def run_names(self) -> list[str]:
        """Return the names of all runs."""
        return [self.run_name(cell, seed) for seed in self.seeds for cell in self.cells]

    def run_name(self, cell: PlannedCell, seed: int) -> str:
        """Return the name of a run's directory."""
        return f"{cell.slug}-s{seed}"

    def toml_of(self, name: str) -> str | None:
        """Return the complete recipe of the run ``name``; None if the plan does not have it."""
        slug, _, digits = name.rpartition("-s")
        cell = next((cell for cell in self.cells if cell.slug == slug), None)
        seed = int(digits) if digits.isdecimal() else -1
        return with_seed(cell.toml, seed) if cell is not None and seed in self.seeds else None

    def epochs(self) -> int:
        """Return the largest number of epochs of any cell."""
        return max(parse_recipe(cell.toml, cell.label).training.epochs for cell in self.cells)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain JSON values."""
        return {**asdict(self), "cells": [cell.to_json() for cell in self.cells]}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> StudyPlan:
        """Return the plan that ``to_json`` wrote; raise TypeError or LookupError for others."""
        cells = [PlannedCell.from_json(cell) for cell in values["cells"]]
        return cls(**{**values, "cells": cells})

    def difference_from(self, earlier: StudyPlan) -> str | None:
        """Describe a run of ``earlier`` that this plan would not make; None if it makes them all.

        A plan may gain seeds and cells: the results that exist stay valid.
        """
        if self.recipe != earlier.recipe:
            return f"its recipe is {earlier.recipe}, not {self.recipe}"
        if self.search != earlier.search:
            return "its search space is different"
        cells = {cell.slug: cell for cell in self.cells}
        for cell in earlier.cells:
            if cell.slug not in cells:
                return f'it has the cell "{cell.label}", which this command does not have'
            if not _same_recipe(cells[cell.slug].toml, cell.toml):
                return f'the recipe of its cell "{cell.label}" is different'
        if not {*earlier.seeds} <= {*self.seeds}:
            return f"it has {len(earlier.seeds)} seeds, this command {len(self.seeds)}"
        return None


@dataclass(frozen=True)
class StudyRequest:
    """The arguments of a study; its recipes are resolved, no network or data set is loaded yet."""

    recipe: str
    overrides: list[str]
    axes: list[Axis]
    cells: list[GridCell]
    resolved: list[Resolved]
    seeds: int
    baseline: str | None
    path: Path

    def plan(self, resolved: Sequence[Resolved] | None = None) -> StudyPlan:
        """Return the plan, with the recipes ``resolved`` in place of the request's own if given."""
        baseline = baseline_of(self.cells, self.baseline)
        return make_plan(resolved or self.resolved, self.cells, self.seeds, baseline)

    def command_line(self) -> str:
        """Return the shell command that repeats the study."""
        line = ["kilonet", "study", self.recipe, *self.overrides]
        for axis in self.axes:
            line += ["--vary", f"{axis.key}={','.join(axis.values)}"]
        line += ["--seeds", str(self.seeds)]
        line += ["--baseline", self.baseline] if self.baseline is not None else []
        return shlex.join([*line, "--name", self.path.name])


def parse_request(
    recipe: str | Path,
    vary: Vary,
    seeds: int,
    overrides: list[str],
    baseline: str | None,
    name: str | Path | None,
) -> StudyRequest:
    """Return the request with every recipe resolved.

    Raises:
        UsageError, RecipeError: an argument is wrong.
    """
    axes = parse_axes(_vary_words(vary))
    is_file = str(recipe).endswith(SUFFIX)
    title = Path(recipe).stem if is_file else str(recipe)
    cells = cells_of(axes, title)
    resolved = [resolve(recipe, [*overrides, *cell.overrides]) for cell in cells]
    path = studies_dir() / (name if name is not None else _default_name(title, overrides, axes))
    return StudyRequest(str(recipe), overrides, axes, cells, resolved, seeds, baseline, path)


def make_plan(
    resolved: Sequence[Resolved], cells: Sequence[GridCell], seeds: int, baseline: int
) -> StudyPlan:
    """Return the plan that trains each of ``cells``, with recipes ``resolved``, ``seeds`` times.

    The first seed is that of the recipe. Each run uses one thread unless the recipe says otherwise,
    so that its result is the same on every machine.
    """
    if seeds < 1:
        raise UsageError(f"--seeds must be at least 1, not {seeds}.")
    if seeds * len(cells) > MAX_RUNS:
        raise UsageError(f"That is {seeds * len(cells):,} runs; the maximum is {MAX_RUNS:,}.")
    planned = [
        PlannedCell(cell.label, cell.slug, list(cell.overrides), to_toml(pin_threads(one.recipe)))
        for cell, one in zip(cells, resolved, strict=True)
    ]
    _require_distinct(planned)
    first = resolved[0].recipe.training.seed
    return StudyPlan(resolved[0].name, planned, list(range(first, first + seeds)), baseline)


def pin_threads(recipe: Recipe) -> Recipe:
    """Return ``recipe`` with one thread where it does not set the number."""
    return recipe.with_training(threads=recipe.training.threads or 1)


def with_seed(toml: str, seed: int) -> str:
    """Return the recipe ``toml`` with its seed replaced."""
    return to_toml(parse_recipe(toml, "the study's plan").with_training(seed=seed))


def _same_recipe(toml: str, earlier: str) -> bool:
    """Return whether two recipes train alike; an earlier version wrote other texts and keys."""
    if toml == earlier:
        return True
    recipe, before = parse_recipe(toml, "the study"), parse_recipe(earlier, "the study's plan")
    texts = {"title": recipe.title, "source": recipe.source, "assumed": recipe.assumed}
    return before.model_copy(update=texts) == recipe


def _require_distinct(cells: Sequence[PlannedCell]) -> None:
    seen: dict[str, str] = {}
    for cell in cells:
        if cell.toml in seen:
            raise UsageError(
                f'The cells "{seen[cell.toml]}" and "{cell.label}" have the same recipe. '
                "Remove one."
            )
        seen[cell.toml] = cell.label


def _vary_words(vary: Vary) -> list[str]:
    """Return ``vary`` as ``KEY=A,B`` words."""
    if not isinstance(vary, Mapping):
        return [*vary]
    return [f"{key}={','.join(_value_texts(key, values))}" for key, values in vary.items()]


def _value_texts(key: str, values: Sequence[Any]) -> list[str]:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise UsageError(f"vary: {key} needs a list of values, not {values!r}.")
    keyword = key.replace(".", "_", 1)
    return [as_overrides({keyword: value})[0].partition("=")[2] for value in values]


def _default_name(recipe: str, overrides: Sequence[str], axes: Sequence[Axis]) -> str:
    """Return the study's name; equal arguments give the same name."""
    varied = [axis.key.removesuffix(".name").rpartition(".")[2] for axis in axes]
    return "-".join([recipe, *map(slug_of, overrides), *varied])[:_MAX_NAME_LENGTH]
