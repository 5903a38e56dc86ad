"""The generated parts of ``docs/reference/``: every command, and every key of a recipe."""

from __future__ import annotations

import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from doc_tables.tables import table
from kilonet.cli.main import app
from kilonet.recipe.families import CustomConfig
from kilonet.recipe.keys import ALTERNATIVES, PLAIN, SCALARS
from kilonet.recipe.schema import Recipe

_TYPES: dict[Any, str] = {
    str: "text",
    bool: "true, false",
    int: "whole number",
    float: "number",
    type(None): "off",
}
_BOUNDS = {"ge": "≥ {}", "gt": "> {}", "le": "≤ {}", "lt": "< {}"}
SECTIONS = (
    "data",
    "model",
    "augmentation",
    "optimizer",
    "schedule",
    "training",
    "log",
    "constraints",
)


def commands(_: Path) -> str:
    """Return a section for each command, from the Typer application."""
    root = typer.main.get_command(app)
    with root.make_context("kilonet", [], resilient_parsing=True) as context:
        return "\n\n".join(_commands_of(root, context))


def _commands_of(group: Any, context: Any) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        inside = type(context)(command, info_name=name, parent=context)
        is_group = hasattr(command, "list_commands")
        if not is_group or command.invoke_without_command:
            yield _command(command, inside)
        if is_group:
            yield from _commands_of(command, inside)


def _command(command: Any, context: Any) -> str:
    usage = " ".join(command.get_usage(context).split()).removeprefix("Usage: ")
    sentence = " ".join((command.help or "").split("\n\n")[0].split())
    parts = [f"## `{context.command_path}`", sentence, f"```sh\n{usage}\n```"]
    for kind in ("argument", "option"):
        rows = [
            _parameter(parameter, context)
            for parameter in command.get_params(context)
            if parameter.param_type_name == kind and "--help" not in parameter.opts
        ]
        if rows:
            parts.append(table([kind, ""], rows, left=(0, 1)))
    return "\n\n".join(parts)


def _parameter(parameter: Any, context: Any) -> list[str]:
    """Return what is typed, without the type that Typer adds, and its help."""
    what, sentence = parameter.get_help_record(context)
    what, sentence = what.partition(" <")[0], " ".join(sentence.split())
    return [f"<code>{_escaped(what)}</code>", _escaped(sentence)]


def _escaped(text: str) -> str:
    return text.replace("|", "&#124;")


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
    rows = [
        [f"`{name}`", values(key), default(key), (key.description or "").replace("|", "\\|")]
        for name, key in cls.model_fields.items()
        if not only or name in only
    ]
    return table(["key", "values", "default", ""], rows, left=range(4))


def values(key: FieldInfo) -> str:
    """Return the values that a key accepts, such as "number ≥ 0, < 1, or off"."""
    return _with_bounds(_type(key.annotation), key.metadata)


def default(key: FieldInfo) -> str:
    """Return a key's default as TOML writes it; "required" without one."""
    if key.default_factory is not None:
        return "`[]`"
    if key.default is PydanticUndefined:
        return "required"
    if key.default is None:
        return "off"
    value = key.default
    if isinstance(value, float):
        return f"`{value:.4g}`"
    return f"`{str(value).lower()}`" if isinstance(value, bool) else f"`{_quoted(value)}`"


def _type(kind: Any) -> str:
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _with_bounds(_type(inside[0]), inside[1:])
    if origin is Literal:
        return ", ".join(f"`{_quoted(choice)}`" for choice in inside)
    if origin in (Union, types.UnionType):
        return ", or ".join(_type(choice) for choice in inside)
    if origin is list:
        return f"list of {_type(inside[0])}"
    return _TYPES[kind]


def _with_bounds(text: str, metadata: Any) -> str:
    limits = [
        _BOUNDS[name].format(_number(getattr(each, name)))
        for each in _flat(metadata)
        for name in _BOUNDS
        if getattr(each, name, None) is not None
    ]
    return f"{text} {', '.join(limits)}" if limits else text


def _flat(metadata: Any) -> Iterator[Any]:
    """Yield the bounds in ``metadata``, those of nested fields included."""
    for each in metadata:
        if isinstance(each, FieldInfo):
            yield from _flat(each.metadata)
        elif isinstance(each, annotated_types.BaseMetadata):
            yield each


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) and value < 1e9 else f"{value:.3g}"


def _quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _sentence(cls: type[BaseModel]) -> str:
    return (cls.__doc__ or "").split("\n")[0].replace("``", "`")
