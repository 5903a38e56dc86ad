"""The recipe as TOML, plain or annotated, and its fingerprint."""

from __future__ import annotations

import hashlib
import json
import textwrap
from itertools import product
from typing import Any

import tomli_w
from pydantic import BaseModel

from kilonet.recipe.schema import Recipe

# Keys that are newer than the first results, with the value that recipes had before. A fingerprint
# contains such a key only if its value differs.
_ADDED_LATER: dict[str, dict[str, Any]] = {
    "data": {"normalise": True},
    "training": {
        "precision": "float32",
        "kernels": "torch",
        "teachers": [],
        "teacher_share": 0.5,
        "temperature": 2.0,
        "weights_rate": 1.0,
    },
    "model": {"pool_first": False},
    "augmentation": {
        **dict.fromkeys(
            (
                *("flip", "erase", "elastic", "stroke", "blur", "paper", "noise", "inversion"),
                "handwriting",
            ),
            0.0,
        ),
        **dict.fromkeys(("appearance_probability", "until"), 1.0),
    },
}
# The same for one network family; other families had keys of these names from the start.
_ADDED_LATER_OF_FAMILY: dict[str, dict[str, Any]] = {
    "two-conv": {"poolings": 2},
    "stacked-1x1": {"batch_norm": False, "dropout": 0.0},
}
# Keys of the first recipes that were removed; a fingerprint still contains their only value.
_REMOVED: dict[str, dict[str, Any]] = {"training": {"loss": "cross-entropy"}}


def to_toml(recipe: Recipe) -> str:
    """Return the resolved recipe as TOML with every key, which repeats the run."""
    return tomli_w.dumps(_table(recipe))


def to_annotated_toml(recipe: Recipe) -> str:
    """Return the resolved recipe as TOML with a sentence above each key, optional keys included."""
    lines: list[str] = []
    for key in type(recipe).model_fields:
        value = getattr(recipe, key)
        if isinstance(value, BaseModel):
            lines += ["", *_comment((type(value).__doc__ or "").split("\n")[0]), f"[{key}]"]
            for name in type(value).model_fields:
                lines += _entry(value, name)
            lines += _arguments(key, value)
        else:
            lines += _entry(recipe, key)
    return "\n".join(lines) + "\n"


def fingerprint(recipe: Recipe, processes: int = 1) -> str:
    """Return 12 hexadecimal digits that identify the recipe, without seed, device and texts.

    With more than one process, their number is part of the fingerprint under the removed key
    ``training.workers``, so that old fingerprints stay valid.
    """
    table = _table(recipe)
    if processes > 1:
        table["training"]["workers"] = processes
    for key in ("title", "source", "assumed", "log", "constraints"):
        table.pop(key)
    for key in ("seed", "device", "threads", "record_test_by_epoch"):
        table["training"].pop(key, None)
    for section, removed in _REMOVED.items():
        table[section] |= removed
    for section, before in _ADDED_LATER.items():
        _leave_out(table[section], before)
    _leave_out(table["model"], _ADDED_LATER_OF_FAMILY.get(recipe.model.name, {}))
    canonical = json.dumps(table, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def possible_fingerprints(recipe: Recipe) -> set[str]:
    """Return the fingerprints of the recipes that a run's ``recipe`` may have been resolved from.

    A run's recipe has the precision and the kernels that "auto" was resolved to.
    """
    choices = {key: {getattr(recipe.training, key), "auto"} for key in ("precision", "kernels")}
    updates = [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]
    return {
        fingerprint(recipe.model_copy(update={"training": recipe.training.model_copy(update=each)}))
        for each in updates
    }


def _leave_out(section: dict[str, Any], before: dict[str, Any]) -> None:
    """Remove from ``section`` the keys that have the values of ``before``."""
    for key, value in before.items():
        if section.get(key) == value:
            section.pop(key)


def _table(recipe: Recipe) -> dict[str, Any]:
    return recipe.model_dump(exclude_none=True)


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, 97)]


def _arguments(name: str, section: BaseModel) -> list[str]:
    """Return the lines of keys that are not in the schema; tables last."""
    extra = section.model_extra
    if not extra:
        return []
    # Not splitlines: it also splits at characters that are valid in a TOML string.
    return tomli_w.dumps({name: extra}).removeprefix(f"[{name}]\n").rstrip("\n").split("\n")


def _entry(section: BaseModel, key: str) -> list[str]:
    value = getattr(section, key)
    comment = _comment(type(section).model_fields[key].description or "")
    if value is None:
        return [*comment, f"# {key} = (off)"]
    return [*comment, tomli_w.dumps({key: value}).rstrip()]
