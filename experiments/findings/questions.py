"""``questions.toml``: each question, its cells, and the study's plan that comes of them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt, ValidationError

from findings.ladder import neighbour
from kilonet.errors import UsageError, nearest
from kilonet.recipe.load import parse_recipe, resolve
from kilonet.recipe.schema import Recipe
from kilonet.studies.grid import GridCell, cells_of, parse_axes
from kilonet.studies.plan import StudyPlan, make_plan

QUESTIONS = Path(__file__).with_name("questions.toml")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Listed(_Table):
    """A cell that is listed: what it is called, what makes it, where its rate's search begins.

    Or, without a search: the cell ``below`` whose rate its own is, on the ladder.
    """

    label: str
    words: list[str] = []
    rate: PositiveFloat | None = None
    below: str | None = None


class Search(_Table):
    """How learning rates are searched: epochs a trial, and the most trials of a cell."""

    epochs: PositiveInt
    trials: PositiveInt


class Entry(_Table):
    """A question as the file has it; see the comment at its top."""

    id: str
    title: str
    pages: list[str]
    recipe: str = ""
    words: list[str] = []
    vary: list[str] = []
    labels: list[str] = []
    cell: list[Listed] = []
    same_parameters: bool = False


class _File(_Table):
    recipe: str
    seeds: PositiveInt
    search: Search
    question: list[Entry]


@dataclass(frozen=True)
class Question:
    """A question with what the file says of all."""

    entry: Entry
    recipe: str
    seeds: int
    search: Search

    @property
    def id(self) -> str:
        """What it is called on the command line, and its file."""
        return self.entry.id

    @property
    def listed(self) -> list[Listed]:
        """Its cells, with the words of the whole question first; a grid's have no rate."""
        if self.entry.cell:
            return list(self.entry.cell)
        cells = cells_of(parse_axes(self.entry.vary), self.recipe)
        labels = self.entry.labels or [cell.label for cell in cells]
        return [
            Listed(label=label, words=list(cell.overrides))
            for label, cell in zip(labels, cells, strict=True)
        ]

    def recipe_of(self, cell: Listed, *more: str) -> Recipe:
        """Return the recipe of ``cell``, changed by the words ``more`` too."""
        return resolve(self.recipe, [*self.entry.words, *cell.words, *more]).recipe

    def plan(self, rates: Mapping[str, float], seeds: Sequence[int]) -> StudyPlan:
        """Return the study's plan; ``rates`` are those that were found, by the cells' labels.

        Raises:
            UsageError: two cells are the same recipe.
        """
        cells = [_with_rate(cell, rates) for cell in self.listed]
        words = [[*self.entry.words, *cell.words] for cell in cells]
        plan = make_plan(
            [resolve(self.recipe, each) for each in words],
            [GridCell(tuple(cell.words), cell.label, cell.label) for cell in cells],
            seeds=1,
            baseline=0,
        )
        return replace(plan, seeds=list(seeds))


def _with_rate(cell: Listed, rates: Mapping[str, float]) -> Listed:
    if cell.below is not None:
        rate: float | None = neighbour(rates[cell.below], -1)
    else:
        rate = rates.get(cell.label)
    if rate is None:
        return cell
    return cell.model_copy(update={"words": [*cell.words, f"optimizer.lr={rate!r}"]})


def recipes_of(plan: StudyPlan) -> list[Recipe]:
    """Return the recipe of each cell of ``plan``."""
    return [parse_recipe(cell.toml, cell.label) for cell in plan.cells]


def read_questions(path: Path = QUESTIONS, wanted: Sequence[str] = ()) -> list[Question]:
    """Return the questions in ``path``, those whose ids are ``wanted`` where any are.

    Raises:
        UsageError: one is wanted that is not there, or the file is not what it should be.
    """
    try:
        content = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (ValueError, ValidationError) as error:
        raise UsageError(f"{path}: {error}") from None
    questions = [
        Question(entry, entry.recipe or content.recipe, content.seeds, content.search)
        for entry in content.question
    ]
    known = [question.id for question in questions]
    for name in wanted:
        if name not in known:
            raise UsageError(f'There is no question "{name}".{nearest(name, known)}')
    return [question for question in questions if not wanted or question.id in wanted]
