"""The generated parts of ``docs/reference/``: every command, and every key of a recipe."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel
from typer.cli import get_docs_for_click

from doc_tables.tables import table
from kilonet.cli.app import app
from kilonet.recipe.families import CustomConfig
from kilonet.recipe.keys import ALTERNATIVES, PLAIN, SCALARS
from kilonet.recipe.schema import Recipe

_TYPES = {
    "string": "text",
    "boolean": "true, false",
    "integer": "whole number",
    "number": "number",
    "null": "off",
}
_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
SECTIONS = (
    *("data", "model", "augmentation", "optimizer"),
    *("schedule", "training", "log", "constraints"),
)


def commands(_: Path) -> str:
    """Return a section for each command, as Typer documents it."""
    root: Any = typer.main.get_command(app)
    with root.make_context("kilonet", [], resilient_parsing=True) as context:
        text = get_docs_for_click(obj=root, ctx=context, name="kilonet")
    text = text[text.index("\n## ") :].replace("* `-h, --help`: Show this message and exit.\n", "")
    text = re.sub(r"(?m)^(\* `[^`<]+) <[^`]+>`", r"\1`", text)  # the types that Typer adds
    return re.sub(r"\n\*\*Options\*\*:\n+(?=\n#|$|\n\*\*)", "\n", text).strip()


def recipe_keys(_: Path) -> str:
    """Return a section for each section of a recipe, from the schema."""
    parts = []
    for section in SECTIONS:
        parts.append(f"## `[{section}]`")
        if section in PLAIN:
            parts += [_sentence(PLAIN[section]), _keys(PLAIN[section])]
            continue
        parts.append("Each `name` has keys of its own.")
        choices: dict[str, type[BaseModel]] = dict(ALTERNATIVES[section])
        if section == "model":
            choices["module:Class"] = CustomConfig
        for name, cls in choices.items():
            parts += [f'### `{section}.name = "{name}"`', _sentence(cls), _keys(cls)]
    return "\n\n".join(part for part in parts if part)


def recipe_texts(_: Path) -> str:
    """Return the keys of a recipe that belong to no section."""
    return _keys(Recipe, tuple(SCALARS))


def _keys(cls: type[BaseModel], only: tuple[str, ...] = ()) -> str:
    schema = cls.model_json_schema()
    rows = [
        [
            f"`{name}`",
            values(key),
            _default(key, name, schema),
            key["description"].replace("|", "\\|"),
        ]
        for name, key in schema["properties"].items()
        if not only or name in only
    ]
    return table(["key", "values", "default", ""], rows, left=range(4))


def values(key: Any) -> str:
    """Return the values that a key's JSON schema accepts, such as "number ≥ 0, < 1, or off"."""
    if "anyOf" in key:
        return ", or ".join(map(values, key["anyOf"]))
    if "enum" in key or "const" in key:
        return ", ".join(f'`"{value}"`' for value in key.get("enum", [key.get("const")]))
    if key["type"] == "array":
        return f"list of {values(key['items'])}"
    limits = [f"{sign} {_number(key[name])}" for name, sign in _BOUNDS.items() if name in key]
    return f"{_TYPES[key['type']]} {', '.join(limits)}".rstrip()


def _default(key: Any, name: str, schema: Any) -> str:
    """Return a key's default as TOML writes it; "required" without one."""
    if name in schema.get("required", ()):
        return "required"
    value = key.get("default", [])
    if value is None:
        return "off"
    if isinstance(value, float):
        return f"`{value:.4g}`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{str(value).lower()}`"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) and value < 1e9 else f"{value:.3g}"


def _sentence(cls: type[BaseModel]) -> str:
    return (cls.__doc__ or "").split("\n")[0].replace("``", "`")
