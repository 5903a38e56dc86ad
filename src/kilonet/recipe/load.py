"""From a name or a file, and ``key=value`` words, to a validated recipe.

Every mistake is reported as one message that names the section and the key (the line for a
syntax error), says what was expected, and suggests the nearest key where one was misspelt.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kilonet.errors import RecipeError, UsageError
from kilonet.recipe.catalog import SUFFIX, recipe_text
from kilonet.recipe.explain import explain
from kilonet.recipe.overrides import apply_override, parse_overrides
from kilonet.recipe.removed import without_removed_keys
from kilonet.recipe.schema import Recipe

RawTable = dict[str, Any]


@dataclass(frozen=True)
class Resolved:
    """A validated recipe, its name, and whether the user (not we) chose its data set."""

    name: str
    recipe: Recipe
    data_named: bool


def resolve(
    source: str | Path | Recipe, overrides: Sequence[str] = (), name: str | None = None
) -> Resolved:
    """Read the recipe ``source`` and apply ``overrides``.

    ``source`` is a shipped name, a ``.toml`` path or a ``Recipe``. ``overrides`` are words such as
    ``optimizer.lr=0.05``, ``training.ema=off`` or ``data.name=fashion-mnist``. Setting a section's
    ``name`` starts that section afresh. ``name`` is what the recipe is called (default: its
    shipped name, or that of its file).

    Raises:
        UsageError: no such recipe or file, or an override that is not ``section.key=value``.
        RecipeError: the text or a value is wrong.
    """
    if isinstance(source, Recipe):
        own, name = True, name or "recipe"
        origin, table = name, source.model_dump(exclude_unset=True, exclude_none=True)
    else:
        own, origin = str(source).endswith(SUFFIX), str(source)
        text = _read_file(Path(source)) if own else recipe_text(origin)
        table = _parse_toml(text, origin)
        name = name or (Path(source).stem if own else origin)
    changes = parse_overrides(overrides)
    for key, value in changes:
        apply_override(table, key, value)
    by_user = own or any(key in ("data", "data.name") for key, _ in changes)
    recipe = validate(table, origin)
    return Resolved(name, recipe, data_named=by_user and "name" in table.get("data", {}))


def parse_recipe(text: str, origin: str) -> Recipe:
    """Return the recipe in ``text``, TOML that this or an earlier version wrote.

    Keys that were removed since are left out. ``origin`` names the recipe in messages.

    Raises:
        RecipeError: the text is not TOML, or not a recipe.
    """
    return validate(without_removed_keys(_parse_toml(text, origin)), origin)


def validate(table: RawTable, origin: str) -> Recipe:
    """Return the recipe in ``table``, or raise one RecipeError about its first mistake."""
    try:
        return Recipe.model_validate(table)
    except ValidationError as error:
        raise RecipeError(f"{origin}: {explain(error.errors(), table)}") from None


def _read_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # some editors put a byte-order mark first
    except FileNotFoundError:
        raise UsageError(
            f'There is no recipe file {path}. "kilonet recipes copy NAME {path}" makes one.'
        ) from None
    except UnicodeDecodeError:
        raise RecipeError(f"{path}: not a text file in UTF-8; a recipe is TOML.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"Cannot read the recipe {path}: {reason}.") from None


def _parse_toml(text: str, origin: str) -> RawTable:
    try:
        return tomllib.loads(text)
    except ValueError as error:  # a TOMLDecodeError, or a number of thousands of digits
        last = f"(at the end, line {len(text.splitlines())})"
        reason = str(error).replace("(at end of document)", last)
        raise RecipeError(f"{origin}: not valid TOML: {reason}.") from None
    except RecursionError:
        raise RecipeError(f"{origin}: not valid TOML: nested too deeply.") from None
