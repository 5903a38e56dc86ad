"""Keys that recipes of earlier versions had.

Stored recipes (run directories, model folders, studies) are read without these keys. In a recipe
or an override that a user writes, such a key is an error that says what replaces it.
"""

from __future__ import annotations

from typing import Any

RawTable = dict[str, Any]

_REPLACEMENTS = {
    ("training", "workers"): (
        "To train with N processes, leave the key out and start with: "
        "torchrun --nproc-per-node N -m kilonet train RECIPE"
    ),
    ("training", "loss"): "Cross-entropy is the only loss; leave the key out.",
}


def removal_message(section: str, key: str) -> str | None:
    """Return what a user should do about a removed key; None if the key was not removed."""
    replacement = _REPLACEMENTS.get((section, key))
    return f"[{section}] {key} is no longer a key. {replacement}" if replacement else None


def without_removed_keys(table: RawTable) -> RawTable:
    """Return the table of a stored recipe without its removed keys."""
    kept = dict(table)
    for section, key in _REPLACEMENTS:
        if isinstance(kept.get(section), dict):
            kept[section] = {name: kept[section][name] for name in kept[section] if name != key}
    return kept
