"""Parse ``--vary`` and ``--search``: the cells of a grid, the dimensions of a search space."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from kilonet.errors import UsageError, nearest
from kilonet.recipe.load import parse_overrides, value_text

_OPEN, _CLOSE, _QUOTES = "[{(", "]})", "\"'"
_RANGE = re.compile(r"(log|uniform|int)\(([^,]+),([^,]+)\)")
_SPACE_EXAMPLE = "optimizer.lr=log(1e-4,1)"


@dataclass(frozen=True)
class Axis:
    """A recipe key and the values to compare, written as in an override."""

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class GridCell:
    """One combination of values: its overrides, its label, and the prefix of its runs' names."""

    overrides: tuple[str, ...]
    label: str
    slug: str


@dataclass(frozen=True)
class Dimension:
    """A key to search and its range: from ``low`` to ``high``, or one of ``choices``."""

    key: str
    kind: str
    """``log``, ``uniform``, ``int`` or ``choice``."""
    low: float = 0.0
    high: float = 0.0
    choices: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return {**asdict(self), "choices": [*self.choices]}

    def extremes(self) -> tuple[str, ...]:
        """Return the values to check before a search: both ends of the range, or each choice."""
        if self.choices:
            return self.choices
        return tuple(str(int(end) if self.kind == "int" else end) for end in (self.low, self.high))


def parse_axes(words: Sequence[str]) -> list[Axis]:
    """Return an axis for each ``KEY=A,B,...``; commas inside brackets or quotes do not separate."""
    axes = [_parse_axis(word) for word in words]
    keys = [axis.key for axis in axes]
    for key in keys:
        if keys.count(key) > 1:
            raise UsageError(f"{key} is varied twice. Give all its values at once: {key}=A,B")
    return axes


def _parse_axis(word: str) -> Axis:
    key, equals, text = word.partition("=")
    key = key.strip()
    if not equals or not key:
        raise UsageError(f'"{word}" is not KEY=A,B; write for example optimizer.name=adam,sgd.')
    if key == "training.seed":
        raise UsageError("A study trains every cell with the same seeds: use --seeds N instead.")
    values = [value.strip() for value in split_values(text)]
    if "" in values:
        raise UsageError(f'"{word}" has an empty value. Remove the extra comma, or give a value.')
    for value in values:
        if values.count(value) > 1:
            raise UsageError(f'"{word}" has the value {value} twice. Remove one.')
    return Axis(key, tuple(values))


def split_values(text: str) -> list[str]:
    """Split ``text`` at the commas that are outside brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in _QUOTES:
            quote = letter
        else:
            depth += (letter in _OPEN) - (letter in _CLOSE)
        if letter == "," and not quote and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def cells_of(axes: Sequence[Axis], default_label: str) -> list[GridCell]:
    """Return the Cartesian product of ``axes``; the first axis changes slowest.

    Without axes, return one cell with the label ``default_label``.
    """
    cells: list[GridCell] = []
    for values in product(*(axis.values for axis in axes)):
        overrides = tuple(f"{axis.key}={value}" for axis, value in zip(axes, values, strict=True))
        label = ", ".join(map(_label, overrides)) or default_label
        slug = _unique(_slug(label), [cell.slug for cell in cells])
        cells.append(GridCell(overrides, label, slug))
    return cells


def baseline_of(cells: Sequence[GridCell], wanted: str | None) -> int:
    """Return the index of the baseline: of the cell called ``wanted``, by default the first."""
    if wanted is None:
        return 0
    for index, cell in enumerate(cells):
        if wanted in (cell.label, cell.slug, *_override_names(cell)):
            return index
    names = [cell.label for cell in cells]
    raise UsageError(
        f'There is no cell "{wanted}" to compare with.{nearest(wanted, names)} '
        f"The cells: {'; '.join(names)}."
    )


def _override_names(cell: GridCell) -> Iterator[str]:
    yield ",".join(cell.overrides)
    if len(cell.overrides) == 1:
        yield cell.overrides[0]
        yield cell.overrides[0].partition("=")[2]


def _label(override: str) -> str:
    """Return a short label for ``KEY=VALUE``: ``adam``, ``lr=0.1``, ``adam lr=0.1``."""
    ((key, value),) = parse_overrides([override])
    if isinstance(value, dict):
        rest = {name: inner for name, inner in value.items() if name != "name"}
        name = str(value.get("name", key))
        return " ".join([name, *(f"{inner}={value_text(rest[inner])}" for inner in rest)])
    short = key.rpartition(".")[2]
    return value_text(value) if short == "name" else f"{short}={value_text(value)}"


def slug_of(override: str) -> str:
    """Return the part of a study's name that stands for ``override``."""
    return _slug(_label(override))


def _slug(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.=+]+", "-", label).strip("-.")[:80] or "cell"


def _unique(slug: str, taken: Sequence[str]) -> str:
    """Return ``slug``, with a number added if another cell has that name."""
    numbered = (slug, *(f"{slug}-{number}" for number in range(2, len(taken) + 2)))
    return next(name for name in numbered if name.lower() not in map(str.lower, taken))


def parse_space(words: Sequence[str]) -> list[Dimension]:
    """Return a dimension for each word, ``KEY=log(A,B)``, uniform(A,B), int(A,B) or ``A,B,...``."""
    dimensions = [_parse_dimension(word) for word in words]
    keys = [dimension.key for dimension in dimensions]
    for key in keys:
        if keys.count(key) > 1:
            raise UsageError(f"{key} is searched twice. Give it one range.")
    return dimensions


def _parse_dimension(word: str) -> Dimension:
    key, equals, text = (part.strip() for part in word.partition("="))
    if not equals or not key or not text:
        raise UsageError(f'"{word}" is not a search range; write for example {_SPACE_EXAMPLE}.')
    if key == "training.seed":
        raise UsageError("A search must not choose the seed: the best of many seeds is only luck.")
    if match := _RANGE.fullmatch(text.replace(" ", "")):
        return _parse_range(word, key, *match.groups())
    choices = tuple(value.strip() for value in split_values(text))
    if len(choices) < 2 or "" in choices:
        raise UsageError(
            f'"{word}" is not a search range; write for example {_SPACE_EXAMPLE}, '
            "training.batch_size=int(32,512) or optimizer.name=adam,sgd."
        )
    return Dimension(key, "choice", choices=choices)


def _parse_range(word: str, key: str, kind: str, low: str, high: str) -> Dimension:
    try:
        ends = (int(low), int(high)) if kind == "int" else (float(low), float(high))
    except ValueError:
        what = "whole numbers" if kind == "int" else "numbers"
        raise UsageError(f'"{word}": {kind}(...) takes two {what}.') from None
    if not ends[0] < ends[1] or (kind == "log" and ends[0] <= 0) or abs(ends[1]) == float("inf"):
        above = " above 0" if kind == "log" else ""
        raise UsageError(f'"{word}": the range must rise from a number{above} to a greater one.')
    return Dimension(key, kind, *ends)
