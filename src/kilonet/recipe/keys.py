"""Which keys and names a section accepts: read off the schema, so that it cannot go stale."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from kilonet.recipe import schema
from kilonet.recipe.families import FAMILIES, CustomConfig

ALTERNATIVES: dict[str, dict[str, type[BaseModel]]] = {
    "model": dict(FAMILIES),
    "optimizer": {
        "adam": schema.Adam,
        "adamw": schema.AdamW,
        "sgd": schema.Sgd,
        "muon": schema.Muon,
        "rmsprop": schema.RmsProp,
    },
    "schedule": {
        "none": schema.Constant,
        "step": schema.Step,
        "plateau": schema.Plateau,
        "one-cycle": schema.OneCycle,
        "cosine": schema.Cosine,
    },
}
PLAIN: dict[str, type[BaseModel]] = {
    "": schema.Recipe,
    "data": schema.Data,
    "augmentation": schema.Augmentation,
    "training": schema.Training,
    "log": schema.Log,
    "constraints": schema.Constraints,
}
# Keys of the recipe itself that are no sections.
SCALARS = tuple(key for key in schema.Recipe.model_fields if key not in {**PLAIN, **ALTERNATIVES})


def choices_at(section: str) -> list[str]:
    """Return the names that the ``name`` key of ``section`` accepts."""
    return list(ALTERNATIVES.get(section, {}))


def section_class(section: str, given: dict[str, Any]) -> type[BaseModel] | None:
    """Return the class that validates ``section`` with the keys ``given``, if there is one."""
    if section in PLAIN:
        return PLAIN[section]
    name = str(given.get("name"))
    if section == "model" and ":" in name:
        return CustomConfig
    return ALTERNATIVES.get(section, {}).get(name)


def known_keys(section: str, given: dict[str, Any]) -> dict[str, bool]:
    """Return the keys of ``section`` and whether each is optional (it may be unset)."""
    cls = section_class(section, given)
    if cls is None or cls is CustomConfig:
        return {}
    return {key: not field.is_required() for key, field in cls.model_fields.items()}


def all_keys() -> list[str]:
    """Return every key of every section as ``section.key``, each once."""
    keys: dict[str, None] = {}
    for section, cls in PLAIN.items():
        if section:
            keys |= dict.fromkeys(f"{section}.{key}" for key in cls.model_fields)
    for section, alternatives in ALTERNATIVES.items():
        for cls in alternatives.values():
            keys |= dict.fromkeys(f"{section}.{key}" for key in cls.model_fields)
    return list(keys)
