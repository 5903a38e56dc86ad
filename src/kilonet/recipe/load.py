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
from pydantic_core import ErrorDetails

from kilonet.errors import RecipeError, UsageError, nearest
from kilonet.recipe.catalog import recipe_text
from kilonet.recipe.keys import choices_at, known_keys
from kilonet.recipe.schema import Recipe

RawTable = dict[str, Any]


@dataclass(frozen=True)
class Resolved:
    """A validated recipe, its name, and whether the user (not we) chose its data set."""

    name: str
    recipe: Recipe
    data_named: bool


def resolve(source: str | Path, overrides: Sequence[str] = ()) -> Resolved:
    """Read the recipe ``source`` (a shipped name or a ``.toml`` path) and apply ``overrides``.

    ``overrides`` are words such as ``optimizer.lr=0.05``, ``training.ema=off`` or
    ``data.name=fashion-mnist``. Setting a section's ``name`` starts that section afresh.

    Raises:
        UsageError: no such recipe or file, or an override that is not ``section.key=value``.
        RecipeError: the text or a value is wrong.
    """
    own_file = str(source).endswith(".toml")
    text = _read_file(Path(source)) if own_file else recipe_text(str(source))
    table = _parse_toml(text, str(source))
    data_named = own_file and "name" in _section(table, "data")
    for override in _names_first(overrides):
        key, value = _parse_override(override)
        _apply(table, key, value)
        data_named = data_named or key == "data.name"
    name = Path(source).stem if own_file else str(source)
    return Resolved(name, validate(table, str(source)), data_named)


def parse_recipe(text: str, origin: str) -> Recipe:
    """Return the recipe that TOML ``text`` describes; ``origin`` names it in messages.

    Raises:
        RecipeError: the text is not TOML, or not a recipe.
    """
    return validate(_parse_toml(text, origin), origin)


def validate(table: RawTable, origin: str) -> Recipe:
    """Return the recipe in ``table``, or raise one RecipeError about its first mistake."""
    try:
        return Recipe.model_validate(table)
    except ValidationError as error:
        raise RecipeError(f"{origin}: {_explain(error.errors()[0], table)}") from None


def _read_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(
            f'There is no recipe file {path}. "kilonet recipes copy NAME {path}" makes one.'
        ) from None
    except UnicodeDecodeError:
        raise RecipeError(f"{path}: not a text file in UTF-8; a recipe is TOML.") from None
    except OSError as error:
        raise UsageError(f"Cannot read the recipe {path}: {error.strerror}.") from None


def _parse_toml(text: str, origin: str) -> RawTable:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{origin}: not valid TOML: {error}.") from None
    except RecursionError:
        raise RecipeError(f"{origin}: not valid TOML: nested too deeply.") from None


def _section(table: RawTable, name: str) -> RawTable:
    section = table.get(name)
    return section if isinstance(section, dict) else {}


def _names_first(overrides: Sequence[str]) -> list[str]:
    return sorted(overrides, key=lambda word: not word.split("=", 1)[0].endswith(".name"))


def _parse_override(word: str) -> tuple[str, Any]:
    key, equals, text = word.partition("=")
    if not equals or not key:
        raise UsageError(f'"{word}" is not key=value; write for example optimizer.lr=0.05.')
    return key.strip(), _parse_value(text.strip())


def _parse_value(text: str) -> Any:
    """Read ``text`` as a TOML value; what is no TOML value is taken as a bare string."""
    if text == "off":
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text


def _apply(table: RawTable, key: str, value: Any) -> None:
    section, dot, name = key.partition(".")
    if not dot:
        table[key] = value
        return
    inside = table.get(section)
    if name == "name" and isinstance(inside, dict) and inside.get("name") != value:
        keep = section == "data"
        inside = dict(inside) if keep else {}
    inside = table[section] = dict(inside) if isinstance(inside, dict) else {}
    if value is None:
        _unset(inside, section, name)
    else:
        inside[name] = value


def _unset(inside: RawTable, section: str, name: str) -> None:
    """``key=off`` removes an optional key; a schedule as a whole is turned off by its name."""
    if (section, name) == ("schedule", "name"):
        inside[name] = "none"
        return
    keys = known_keys(section, inside)
    if keys and name not in keys:
        raise RecipeError(f'[{section}] has no key "{name}".{nearest(name, keys)}')
    if keys and not keys[name]:
        raise RecipeError(f"[{section}] {name} cannot be off: it is not optional. Give a value.")
    inside.pop(name, None)


def _explain(error: ErrorDetails, table: RawTable) -> str:
    place = [str(part) for part in error["loc"]]
    # Discriminated unions put the chosen alternative's tag between the section and its key.
    if len(place) >= 2 and place[0] in ("model", "optimizer", "schedule"):
        place = [place[0], *place[2:]]
    where = _where(place)
    kind = error["type"]
    if kind == "extra_forbidden":
        section = place[0] if len(place) > 1 else ""
        keys = known_keys(section, _section(table, section))
        hint = nearest(place[-1], keys) or f" Known: {', '.join(keys)}."
        return f'{_where(place[:-1])}unknown key "{place[-1]}".{hint}'
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        given = _section(table, place[0]).get("name")
        options = choices_at(place[0])
        if given is None:
            return f"[{place[0]}] needs a name: one of {', '.join(options)}."
        return (
            f'[{place[0]}] name: there is no {place[0]} "{given}".{nearest(str(given), options)} '
            f"Known: {', '.join(options)}."
        )
    if kind == "missing":
        return f"{where}is missing; a recipe needs it."
    if kind == "value_error":
        return f"{where}{error['ctx']['error']!s}."
    return f"{where}{_lower_first(error['msg'])}, not {_shown(error['input'])}."


def _where(place: list[str]) -> str:
    if not place:
        return ""
    if len(place) == 1:
        return f"[{place[0]}] "
    return f"[{place[0]}] {'.'.join(place[1:])}: "


def _lower_first(message: str) -> str:
    return message[:1].lower() + message[1:].removesuffix(".")


def _shown(value: object) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
