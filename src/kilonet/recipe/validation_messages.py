"""Explain Pydantic's errors about a recipe in one sentence."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pydantic_core import ErrorDetails

from kilonet.errors import nearest
from kilonet.recipe.keys import (
    SCALARS,
    RawTable,
    choices_at,
    known_keys,
    removal_message,
    section_class,
)

_TYPES = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "string_pattern_mismatch": "must look like package.module:Class",
}
_LIMITS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}
_NOT_A_TABLE = ("model_type", "model_attributes_type", "dict_type")


def explain(errors: Sequence[ErrorDetails], table: RawTable) -> str:
    """Return a sentence about the first mistake in ``table``; an unknown key has priority.

    It names section and key, and says what was expected, what the value is and what the key means.
    """
    # An unknown key is often the misspelling of a missing one.
    first = min(errors, key=lambda error: error["type"] != "extra_forbidden")
    path = _path(first)
    kind = first["type"]
    if kind == "extra_forbidden":
        return _unknown_key(path, table)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _unknown_name(path[0], table)
    if kind in _NOT_A_TABLE and len(path) == 1:
        return _no_section(path[0], table)
    if kind == "missing":
        place = _location(path).rstrip(":")
        return f"{place} is missing; a recipe needs it.{_description(path, table)}"
    if kind == "value_error":
        sentence = f"{first['ctx']['error']!s}."
        return f"{_location(path)} {sentence}" if path else sentence
    problem = f"{expected_value(first)}, not {_format_value(first['input'])}."
    return f"{_location(path)} {problem}{_description(path, table)}"


def expected_value(error: ErrorDetails) -> str:
    """Return "must be ...": the values that are valid."""
    kind = error["type"]
    if kind in _TYPES:
        return _TYPES[kind]
    context = error.get("ctx", {})
    if kind in _LIMITS:
        words, key = _LIMITS[kind]
        return f"must be {words} {_number(context[key])}"
    if kind == "literal_error":
        return f"must be {context['expected']}"
    return error["msg"].replace("Input should be", "must be")


def _path(error: ErrorDetails) -> list[str]:
    path = [str(part) for part in error["loc"]]
    # Discriminated unions add the alternative's tag between the section and its key.
    return [path[0], *path[2:]] if path[:1] and choices_at(path[0]) else path


def _location(path: list[str]) -> str:
    """Return "[section] key:", with "item N" for an index in a list."""
    section, *rest = path
    if section in SCALARS:
        return f"{section}:" if not rest else f"{section}, item {int(rest[0]) + 1}:"
    names = [f"item {int(part) + 1}" if part.isdecimal() else part for part in rest]
    return f"[{section}] {', '.join(names)}:" if names else f"[{section}]"


def _unknown_key(path: list[str], table: RawTable) -> str:
    section = path[0] if len(path) > 1 else ""
    removed = removal_message(section, path[-1])
    if removed is not None:
        return removed
    keys = known_keys(section, _section(table, section))
    hint = nearest(path[-1], keys) or f" Known: {', '.join(keys)}."
    return f"{f'[{section}] ' if section else ''}unknown key {_format_value(path[-1])}.{hint}"


def _unknown_name(section: str, table: RawTable) -> str:
    options = choices_at(section)
    custom = ", or your own as module:Class" if section == "model" else ""
    known = f"Known: {', '.join(options)}{custom}."
    if not isinstance(table.get(section), dict):
        return _no_section(section, table)
    given = _section(table, section).get("name")
    if given is None:
        return f"[{section}] name is missing; a recipe needs it. {known}"
    hint = nearest(str(given), options)
    return f"[{section}] name: there is no {section} {_format_value(given)}.{hint} {known}"


def _no_section(section: str, table: RawTable) -> str:
    keys = ["name"] if choices_at(section) else [*known_keys(section, {})]
    return (
        f"[{section}] must be a section with keys such as {section}.{keys[0]}, "
        f"not {_format_value(table.get(section))}."
    )


def _description(path: list[str], table: RawTable) -> str:
    """Return the schema's description of the key at ``path``."""
    section, key = ("", path[0]) if len(path) == 1 or path[0] in SCALARS else path[:2]
    cls = section_class(section, _section(table, section))
    field = cls.model_fields.get(key) if cls is not None else None
    return f" {field.description}" if field is not None and field.description else ""


def _section(table: RawTable, name: str) -> RawTable:
    section = table.get(name)
    return section if isinstance(section, dict) else {}


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def _format_value(value: object) -> str:
    plain = isinstance(value, str | bool | None)
    text = json.dumps(value, ensure_ascii=False) if plain else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
