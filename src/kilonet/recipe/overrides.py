"""``section.key=value`` words, and what they change in a recipe's table."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any

from kilonet.errors import RecipeError, UsageError, nearest
from kilonet.recipe.keys import known_keys
from kilonet.recipe.removed import removal_message

RawTable = dict[str, Any]
Override = tuple[str, Any]

OFF = "off"


def parse_overrides(words: Sequence[str]) -> list[Override]:
    """Return (key, value) for each word, in the order in which they are to be applied.

    A value is what TOML makes of the text, or the text itself where TOML makes nothing of it; None
    stands for "off". Whole sections come first, then their names, which start a section afresh.

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
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # ValueError: also a number of thousands of digits
        return text
    return parsed["value"] if len(parsed) == 1 else text


def apply_override(table: RawTable, key: str, value: Any) -> None:
    """Set ``key`` ("section.key", or a whole "section") in ``table``, or unset it if None.

    Another ``name`` for a section starts it afresh, as the keys of the old one mean nothing to the
    new; a data set is only named, so [data] keeps its keys.

    Raises:
        RecipeError: a key is to be unset that is unknown, or that a recipe needs.
    """
    section, dot, name = key.partition(".")
    if not dot:
        _set(table, "", key, value)
        return
    found = table.get(section)
    inside = dict(found) if isinstance(found, dict) else {}
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
        what = f"{where}{name}" if section else f"[{name}]"
        raise RecipeError(f"{what} cannot be off: a recipe needs it. Give it a value.")
    inside.pop(name, None)
