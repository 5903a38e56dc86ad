"""Keyword arguments of Python as overrides of a recipe's keys."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import tomli_w

from kilonet.errors import UsageError, nearest
from kilonet.recipe.keys import all_keys, removal_message


def as_overrides(keywords: Mapping[str, Any]) -> list[str]:
    """Return ``key=value`` words for keywords such as ``epochs=2`` or ``optimizer_name="adam"``.

    A keyword is a key that only one section has (``epochs``, ``lr``), or a section and a key joined
    by an underscore (``data_name``). None unsets an optional key.

    Raises:
        UsageError: a keyword is no key, or a key of several sections, or has a value that no recipe
            can hold.
    """
    return [f"{_key(word)}={_value(word, value)}" for word, value in keywords.items()]


def _key(word: str) -> str:
    keys = all_keys()
    joined = {key.replace(".", "_", 1): key for key in keys}
    if word in joined:
        return joined[word]
    matches = [key for key in keys if key.partition(".")[2] == word]
    if len(matches) == 1:
        return matches[0]
    if matches:
        choices = " or ".join(key.replace(".", "_", 1) for key in matches)
        raise UsageError(f'"{word}" is a key of several sections: write {choices}.')
    removed = removal_message("training", word.removeprefix("training_"))
    if removed is not None:
        raise UsageError(removed)
    known = [*joined, *(key.partition(".")[2] for key in keys)]
    raise UsageError(f'A recipe has no key "{word}".{nearest(word, known)}')


def _value(word: str, value: Any) -> str:
    if value is None:
        return "off"
    if isinstance(value, str | bool | int | float | list | tuple):
        with suppress(TypeError):  # something in a list
            return tomli_w.dumps({"v": value}).partition("=")[2].strip()
    raise UsageError(
        f"{word} = {value!r}: a recipe holds numbers, texts, booleans and lists of them, "
        f"not {type(value).__name__}."
    )
