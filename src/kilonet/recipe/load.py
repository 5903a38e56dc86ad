"""Load a recipe from a name or a file, apply ``key=value`` overrides, and validate it.

Each error is one message that names the section and the key (the line of a syntax error), says
what was expected, and suggests the nearest key for a misspelt one.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kilonet.content import read_text_file
from kilonet.errors import RecipeError, UsageError, nearest
from kilonet.recipe.catalog import SUFFIX, recipe_text
from kilonet.recipe.families import CustomConfig
from kilonet.recipe.keys import RawTable, known_keys, removal_message, without_removed_keys
from kilonet.recipe.schema import Recipe
from kilonet.recipe.validation_messages import explain

Override = tuple[str, Any]

OFF = "off"
MAX_RECIPE = 2**18  # characters of a recipe
MAX_DOTS = 1000  # in a line


@dataclass(frozen=True)
class Resolved:
    """A validated recipe, its name, and whether the user chose its data set."""

    name: str
    recipe: Recipe
    data_named: bool


def resolve(
    source: str | Path | Recipe,
    overrides: Sequence[str] = (),
    name: str | None = None,
    *,
    trusted: str | None = None,
    imports: bool = True,
) -> Resolved:
    """Read the recipe ``source`` and apply ``overrides``.

    ``source`` is a shipped name, a ``.toml`` path or a ``Recipe``. ``overrides`` are words such as
    ``optimizer.lr=0.05``, ``training.ema=off`` or ``data.name=fashion-mnist``. A new ``name``
    resets its section. ``name`` is the recipe's name (default: the shipped name, or the file's).
    ``trusted`` is a class that the user named. With ``imports`` false, the network is not built.

    Raises:
        UsageError: the recipe or file does not exist, an override is not ``section.key=value``, or
            the file names a class elsewhere and the user did not (see ``require_own_class``).
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
    if imports and own and not isinstance(source, Recipe):
        named = {value for key, value in changes if key == "model.name"} | {trusted}
        if not any(key == "model" for key, _ in changes) and recipe.model.name not in named:
            require_own_class(recipe, Path(source))
    return Resolved(name, recipe, data_named=by_user and "name" in table.get("data", {}))


def require_own_class(recipe: Recipe, path: Path) -> None:
    """Check that the recipe file ``path`` makes Kilonet import no code from elsewhere.

    A network class of the user's own must be in the folder of the recipe file, where its author
    could have put any code. Nothing is imported to find it.
    """
    name = recipe.model.name
    file = _module_file(name.partition(":")[0].partition(".")[0])
    if not isinstance(recipe.model, CustomConfig) or file is None:
        return
    folder = file.parent.parent if file.name == "__init__.py" else file.parent
    if folder.resolve() != path.parent.resolve():
        raise UsageError(
            f"{path} names the network {name}, for which Kilonet would import {file}. A recipe "
            "alone imports only classes in its own folder. If you trust this code, name the class "
            f"yourself: model.name={name} (for summary: --model {name})."
        )


def _module_file(name: str) -> Path | None:
    """Return the file of a top-level module, which need not be loaded; None if there is none."""
    if name in sys.modules:
        file = getattr(sys.modules[name], "__file__", None)
        return Path(file) if file else None
    spec = PathFinder.find_spec(name, [str(Path.cwd()), *sys.path])
    if spec is None:
        return None
    if spec.origin is not None:
        return Path(spec.origin)
    folders = list(spec.submodule_search_locations or [])  # of a package without __init__.py
    return Path(folders[0]) if folders else None


def parse_recipe(text: str, origin: str) -> Recipe:
    """Return the recipe in ``text``, TOML that this or an earlier version wrote.

    Keys that were removed since are left out. ``origin`` names the recipe in messages.

    Raises:
        RecipeError: the text is not TOML, or not a recipe.
    """
    table = without_removed_keys(_parse_toml(text, origin))
    training = table.get("training")
    if isinstance(training, dict):  # stored before the key existed: PyTorch's were the only ones
        training.setdefault("kernels", "torch")
    return validate(table, origin)


def validate(table: RawTable, origin: str) -> Recipe:
    """Return the recipe in ``table``."""
    try:
        recipe = Recipe.model_validate(table)
    except ValidationError as error:
        raise RecipeError(f"{origin}: {explain(error.errors(), table)}") from None
    _require_utf8(table, origin)
    return recipe


def _require_utf8(table: RawTable, origin: str) -> None:
    """Check that the recipe can be stored: the name of a file or folder may be any bytes."""
    for section, value in table.items():
        keys = value if isinstance(value, dict) else {"": value}
        for key, entry in keys.items():
            try:
                json.dumps(entry, ensure_ascii=False, default=str).encode()
            except UnicodeEncodeError:
                name = ".".join(filter(None, (section, key)))
                raise RecipeError(
                    f"{origin}: {name}: {entry} is not UTF-8, and a recipe is. Rename the file or "
                    "folder, or make a symbolic link to it."
                ) from None


def _read_file(path: Path) -> str:
    try:
        return read_text_file(path, "utf-8-sig")  # some editors put a byte-order mark first
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
        return _loads(text)
    except ValueError as error:  # a TOMLDecodeError, or a number of thousands of digits
        last = f"(at the end, line {len(text.splitlines())})"
        reason = str(error).replace("(at end of document)", last)
        raise RecipeError(f"{origin}: not valid TOML: {reason}.") from None
    except RecursionError:
        raise RecipeError(f"{origin}: not valid TOML: nested too deeply.") from None


def _loads(text: str) -> RawTable:
    """Return the TOML in ``text``.

    Raises:
        ValueError: it is not TOML, or too long. The time and the memory to parse a key grow with
            the square of its length.
        RecursionError: it is nested too deeply.
    """
    if len(text) > MAX_RECIPE:
        raise ValueError(f"it has more than {MAX_RECIPE:,} characters")
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > MAX_DOTS:
            raise ValueError(f"more than {MAX_DOTS:,} dots (at line {number})")
    return tomllib.loads(text)


def parse_overrides(words: Sequence[str]) -> list[Override]:
    """Return (key, value) for each word, in the order to apply them.

    A value is parsed as TOML; a text that is not TOML stays a text; None is "off". Whole sections
    come first, then their names, because a new name resets its section.

    Raises:
        UsageError: a word is not ``key=value``, or its key not ``section.key``.
    """
    return sorted(map(_parse, words), key=lambda item: _rank(item[0]))


def _rank(key: str) -> int:
    return 2 if "." in key and not key.endswith(".name") else int("." in key)


def _parse(word: str) -> Override:
    key, equals, text = word.partition("=")
    key = key.strip()
    if not equals or not key:
        raise UsageError(f'"{word}" is not KEY=VALUE; write for example optimizer.lr=0.05.')
    if key.count(".") > 1:
        raise UsageError(f'"{key}" is not a key; write section.key, for example optimizer.lr.')
    return key, _parse_value(text.strip())


def _parse_value(text: str) -> Any:
    if text == OFF:
        return None
    try:
        parsed = _loads(f"value = {text}")
    except (ValueError, RecursionError):  # ValueError: also a number of thousands of digits
        return text
    return parsed["value"] if len(parsed) == 1 else text


def value_text(value: Any) -> str:
    """Write a value as users do in an override: ``off``, ``true``, ``0.1``, ``adam``."""
    if value is None:
        return OFF
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def apply_override(table: RawTable, key: str, value: Any) -> None:
    """Set ``key`` ("section.key", or a whole "section") in ``table``, or unset it if None.

    A new ``name`` resets its section, because the old keys have no meaning for it; [data] keeps its
    keys.

    Raises:
        RecipeError: the key cannot be unset: it is unknown, removed or required.
    """
    section, dot, name = key.partition(".")
    if not dot:
        _set(table, "", key, value)
        return
    current = table.get(section)
    inside = dict(current) if isinstance(current, dict) else {}
    if name == "name" and section != "data" and inside.get("name") != value:
        inside = {}
    table[section] = inside
    if key == "schedule.name" and value is None:
        value = "none"
    _set(inside, section, name, value)


def _set(inside: RawTable, section: str, name: str, value: Any) -> None:
    if value is not None:
        inside[name] = value
        return
    keys = known_keys(section, inside)
    where = f"[{section}] " if section else ""
    removed = removal_message(section, name)
    if removed is not None and name not in keys:
        raise RecipeError(removed)
    if keys and name not in keys:
        raise RecipeError(f'{where}unknown key "{name}", so it cannot be off.{nearest(name, keys)}')
    if keys and not keys[name]:
        key = f"{where}{name}" if section else f"[{name}]"
        raise RecipeError(f"{key} cannot be off: a recipe needs it. Give it a value.")
    inside.pop(name, None)
