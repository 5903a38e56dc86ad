"""The keys and names of each section, from the schema; the keys that were removed; keywords."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, get_args

import tomli_w
from pydantic import BaseModel

from kilonet.errors import UsageError, nearest
from kilonet.recipe import schema
from kilonet.recipe.families import FAMILIES, CustomConfig, by_name

ALTERNATIVES: dict[str, dict[str, type[BaseModel]]] = {
    "model": {**FAMILIES},
    "optimizer": {**by_name(*get_args(get_args(schema.Optimizer)[0]))},
    "schedule": {**by_name(*get_args(get_args(schema.Schedule)[0]))},
}
PLAIN: dict[str, type[BaseModel]] = {
    "": schema.Recipe,
    "data": schema.Data,
    "augmentation": schema.AugmentationConfig,
    "training": schema.Training,
    "log": schema.Log,
    "constraints": schema.Constraints,
}
# Keys of the recipe itself that are not sections.
SCALARS = tuple(key for key in schema.Recipe.model_fields if key not in {**PLAIN, **ALTERNATIVES})

RawTable = dict[str, Any]

# Keys of earlier versions. A recipe or an override that a user writes with one of them is an error
# with this answer; stored recipes are read without them.
REMOVED = {
    ("training", "workers"): (
        "To train with N processes, leave the key out and start with: "
        "torchrun --nproc-per-node N -m kilonet train RECIPE"
    ),
    ("training", "loss"): "Cross-entropy is the only loss; leave the key out.",
}


def choices_at(section: str) -> list[str]:
    """Return the names that the ``name`` key of ``section`` accepts."""
    return list(ALTERNATIVES.get(section, {}))


def section_class(section: str, given: dict[str, Any]) -> type[BaseModel] | None:
    """Return the class that validates ``section`` with the keys ``given``; None if unknown."""
    if section in PLAIN:
        return PLAIN[section]
    name = str(given.get("name"))
    if section == "model" and ":" in name:
        return CustomConfig
    return ALTERNATIVES.get(section, {}).get(name)


def known_keys(section: str, given: dict[str, Any]) -> dict[str, bool]:
    """Return the keys of ``section`` and whether each is optional."""
    cls = section_class(section, given)
    if cls is None or cls is CustomConfig:
        return {}
    return {key: not field.is_required() for key, field in cls.model_fields.items()}


def all_keys() -> list[str]:
    """Return every key of every section once, as ``section.key``."""
    plain = {section: {"": cls} for section, cls in PLAIN.items() if section}
    sections = {**plain, **ALTERNATIVES}
    keys = (
        f"{section}.{key}"
        for section, choices in sections.items()
        for cls in choices.values()
        for key in cls.model_fields
    )
    return list(dict.fromkeys(keys))


def removal_message(section: str, key: str) -> str | None:
    """Return what a user should do about a removed key; None if the key was not removed."""
    replacement = REMOVED.get((section, key))
    return f"[{section}] {key} is no longer a key. {replacement}" if replacement else None


def without_removed_keys(table: RawTable) -> RawTable:
    """Return the table of a stored recipe without its removed keys."""
    kept = dict(table)
    for section, key in REMOVED:
        if isinstance(kept.get(section), dict):
            kept[section] = {name: kept[section][name] for name in kept[section] if name != key}
    return kept


def as_overrides(keywords: Mapping[str, Any]) -> list[str]:
    """Return ``key=value`` words for keywords such as ``epochs=2`` or ``optimizer_name="adam"``.

    A keyword is a key that only one section has (``epochs``, ``lr``), or a section and a key joined
    by an underscore (``data_name``). None unsets an optional key.

    Raises:
        UsageError: a keyword is not a key, is a key of several sections, or has a value that no
            recipe can hold.
    """
    return [f"{_key_of(word)}={_toml_value(word, value)}" for word, value in keywords.items()]


def _key_of(word: str) -> str:
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


def _toml_value(word: str, value: Any) -> str:
    if value is None:
        return "off"
    if isinstance(value, str | bool | int | float | list | tuple):
        with suppress(TypeError):  # a list with a value that TOML cannot store
            return tomli_w.dumps({"v": value}).partition("=")[2].strip()
    raise UsageError(
        f"{word} = {value!r}: a recipe holds numbers, texts, booleans and lists of them, "
        f"not {type(value).__name__}."
    )
