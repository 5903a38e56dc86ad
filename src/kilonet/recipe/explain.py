"""One sentence about what is wrong with a recipe, from what Pydantic found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic_core import ErrorDetails

from kilonet.errors import nearest
from kilonet.recipe.keys import SCALARS, choices_at, known_keys, section_class
from kilonet.recipe.removed import removal_message

RawTable = dict[str, Any]

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
_NO_SECTION = ("model_type", "model_attributes_type", "dict_type")


def explain(errors: Sequence[ErrorDetails], table: RawTable) -> str:
    """Return a sentence on the first mistake in ``table``; a misspelt key goes before the rest.

    It names section and key, says what was expected, what was found, and what the key means.
    """
    # A key that is said to be missing is often one of those that are said to be unknown.
    first = min(errors, key=lambda error: error["type"] != "extra_forbidden")
    place = _place(first)
    kind = first["type"]
    if kind == "extra_forbidden":
        return _unknown_key(place, table)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _unknown_name(place[0], table)
    if kind in _NO_SECTION and len(place) == 1:
        return _no_section(place[0], table)
    if kind == "missing":
        return f"{_where(place).rstrip(':')} is missing; a recipe needs it.{_meaning(place, table)}"
    if kind == "value_error":
        sentence = f"{first['ctx']['error']!s}."
        return f"{_where(place)} {sentence}" if place else sentence
    found = f"{expected(first)}, not {_shown(first['input'])}."
    return f"{_where(place)} {found}{_meaning(place, table)}"


def expected(error: ErrorDetails) -> str:
    """Return "must be ...": what a value has to be, where ``error`` says that it is not."""
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


def _place(error: ErrorDetails) -> list[str]:
    place = [str(part) for part in error["loc"]]
    # Discriminated unions put the chosen alternative's tag between the section and its key.
    return [place[0], *place[2:]] if place[:1] and choices_at(place[0]) else place


def _where(place: list[str]) -> str:
    """Return "[section] key:", with "item N" for a place in a list."""
    section, *rest = place
    if section in SCALARS:
        return f"{section}:" if not rest else f"{section}, item {int(rest[0]) + 1}:"
    names = [f"item {int(part) + 1}" if part.isdecimal() else part for part in rest]
    return f"[{section}] {', '.join(names)}:" if names else f"[{section}]"


def _unknown_key(place: list[str], table: RawTable) -> str:
    section = place[0] if len(place) > 1 else ""
    removed = removal_message(section, place[-1])
    if removed is not None:
        return removed
    keys = known_keys(section, _section(table, section))
    hint = nearest(place[-1], keys) or f" Known: {', '.join(keys)}."
    return f"{f'[{section}] ' if section else ''}unknown key {_shown(place[-1])}.{hint}"


def _unknown_name(section: str, table: RawTable) -> str:
    options = choices_at(section)
    own = ", or your own as module:Class" if section == "model" else ""
    known = f"Known: {', '.join(options)}{own}."
    if not isinstance(table.get(section), dict):
        return _no_section(section, table)
    given = _section(table, section).get("name")
    if given is None:
        return f"[{section}] name is missing; a recipe needs it. {known}"
    hint = nearest(str(given), options)
    return f"[{section}] name: there is no {section} {_shown(given)}.{hint} {known}"


def _no_section(section: str, table: RawTable) -> str:
    keys = ["name"] if choices_at(section) else [*known_keys(section, {})]
    return (
        f"[{section}] must be a section with keys such as {section}.{keys[0]}, "
        f"not {_shown(table.get(section))}."
    )


def _meaning(place: list[str], table: RawTable) -> str:
    """Return what the key at ``place`` is for, as the schema describes it."""
    section, key = ("", place[0]) if len(place) == 1 or place[0] in SCALARS else place[:2]
    cls = section_class(section, _section(table, section))
    field = cls.model_fields.get(key) if cls is not None else None
    return f" {field.description}" if field is not None and field.description else ""


def _section(table: RawTable, name: str) -> RawTable:
    section = table.get(name)
    return section if isinstance(section, dict) else {}


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def _shown(value: object) -> str:
    plain = isinstance(value, str | bool | None)
    text = json.dumps(value, ensure_ascii=False) if plain else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
