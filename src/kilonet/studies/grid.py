"""From ``--vary KEY=A,B`` words to the cells of a grid, each with a name to call it by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from kilonet.errors import UsageError, nearest
from kilonet.recipe.overrides import parse_overrides

_OPEN, _CLOSE, _QUOTES = "[{(", "]})", "\"'"


@dataclass(frozen=True)
class Axis:
    """A key of the recipe and the values it is to take, as texts that an override would have."""

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """One combination of values: the overrides that make it, what to call it, what its runs' names
    begin with."""

    words: tuple[str, ...]
    label: str
    slug: str


def parse_axes(words: Sequence[str]) -> list[Axis]:
    """Return an axis for each ``KEY=A,B,...``; commas inside brackets or quotes divide nothing.

    Raises:
        UsageError: a word is no such thing, a value is missing or there twice, a key comes twice,
            or the key is the seed's.
    """
    axes = [_parse(word) for word in words]
    keys = [axis.key for axis in axes]
    for key in keys:
        if keys.count(key) > 1:
            raise UsageError(f"{key} is varied twice. Give all its values at once: {key}=A,B")
    return axes


def _parse(word: str) -> Axis:
    key, equals, text = word.partition("=")
    key = key.strip()
    if not equals or not key:
        raise UsageError(f'"{word}" is not KEY=A,B; write for example optimizer.name=adam,sgd.')
    if key == "training.seed":
        raise UsageError("A study trains every cell with the same seeds: leave it to --seeds N.")
    values = [value.strip() for value in split_values(text)]
    if "" in values:
        raise UsageError(f'"{word}" leaves a value empty: the grid would have nothing there.')
    for value in values:
        if values.count(value) > 1:
            raise UsageError(f'"{word}" has the value {value} twice. Leave one out.')
    return Axis(key, tuple(values))


def split_values(text: str) -> list[str]:
    """Divide ``text`` at the commas that are in no bracket and no quotes."""
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


def cells_of(axes: Sequence[Axis], alone: str) -> list[Cell]:
    """Return the product of ``axes``, the first values first; without any, one cell, ``alone``."""
    cells: list[Cell] = []
    for values in product(*(axis.values for axis in axes)):
        words = tuple(f"{axis.key}={value}" for axis, value in zip(axes, values, strict=True))
        label = ", ".join(map(_label, words)) or alone
        cells.append(Cell(words, label, _free(_slug(label), [cell.slug for cell in cells])))
    return cells


def baseline_of(cells: Sequence[Cell], wanted: str | None) -> int:
    """Return the place of the cell that the others are compared with: the first, or ``wanted``.

    Raises:
        UsageError: no cell is called, or made by, ``wanted``.
    """
    if wanted is None:
        return 0
    for place, cell in enumerate(cells):
        if wanted in (cell.label, cell.slug, *_all_words(cell)):
            return place
    names = [cell.label for cell in cells]
    raise UsageError(
        f'There is no cell "{wanted}" to compare with.{nearest(wanted, names)} '
        f"The cells: {'; '.join(names)}."
    )


def _all_words(cell: Cell) -> Iterator[str]:
    yield ",".join(cell.words)
    if len(cell.words) == 1:
        yield cell.words[0]
        yield cell.words[0].partition("=")[2]


def _label(word: str) -> str:
    """Return what people would call ``KEY=VALUE``: ``adam``, ``lr=0.1``, ``adam lr=0.1``."""
    ((key, value),) = parse_overrides([word])
    if isinstance(value, dict):
        rest = {name: inner for name, inner in value.items() if name != "name"}
        name = str(value.get("name", key))
        return " ".join([name, *(f"{inner}={_text(rest[inner])}" for inner in rest)])
    short = key.rpartition(".")[2]
    return _text(value) if short == "name" else f"{short}={_text(value)}"


def _text(value: Any) -> str:
    if value is None:
        return "off"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def slug_of(word: str) -> str:
    """Return what stands for the override ``word`` in the name of a study."""
    return _slug(_label(word))


def _slug(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.=+]+", "-", label).strip("-.")[:80] or "cell"


def _free(slug: str, taken: Sequence[str]) -> str:
    """Return ``slug``, numbered where another cell has that name."""
    numbered = (slug, *(f"{slug}-{number}" for number in range(2, len(taken) + 2)))
    return next(name for name in numbered if name.lower() not in map(str.lower, taken))
