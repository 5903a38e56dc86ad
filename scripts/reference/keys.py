"""Every key of a recipe as a page, off the schema that validates them."""

from __future__ import annotations

import types
from collections.abc import Collection, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from kilonet.recipe.families import CustomConfig
from kilonet.recipe.keys import ALTERNATIVES, PLAIN

_WORDS: dict[Any, str] = {
    str: "text",
    bool: "true, false",
    int: "whole number",
    float: "number",
    type(None): "off",
}
_BOUNDS = {"ge": "≥ {}", "gt": "> {}", "le": "≤ {}", "lt": "< {}"}
Column = tuple[str, str, str, str]


def sections() -> Iterator[tuple[str, str, list[tuple[str, str, list[Column]]]]]:
    """Yield (section, sentence, parts); each part is (name, sentence, rows of its keys)."""
    for section in ("data", "model", "augmentation", "optimizer", "schedule", "training"):
        yield section, *_section(section)
    for section in ("log", "constraints"):
        yield section, *_section(section)


def _section(section: str) -> tuple[str, list[tuple[str, str, list[Column]]]]:
    if section in PLAIN:
        return _sentence(PLAIN[section]), [("", "", rows(PLAIN[section]))]
    choices: dict[str, type[BaseModel]] = dict(ALTERNATIVES[section])
    if section == "model":
        choices["module:Class"] = CustomConfig
    parts = [(name, _sentence(cls), rows(cls)) for name, cls in choices.items()]
    return "Each `name` has keys of its own.", parts


def rows(cls: type[BaseModel], only: Collection[str] = ()) -> list[Column]:
    """Return (key, values, default, sentence) for each key of a section, or for ``only`` some."""
    return [
        (name, values(field), default(field), (field.description or "").replace("|", "\\|"))
        for name, field in cls.model_fields.items()
        if not only or name in only
    ]


def values(field: FieldInfo) -> str:
    """Return what a key may be, such as "number ≥ 0, < 1, or off"."""
    return _with_bounds(_type(field.annotation), field.metadata)


def default(field: FieldInfo) -> str:
    """Return a key's default as TOML has it; "required" without one."""
    if field.default_factory is not None:
        return "`[]`"
    if field.default is PydanticUndefined:
        return "required"
    if field.default is None:
        return "off"
    value = field.default
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
    return _WORDS[kind]


def _with_bounds(text: str, metadata: Any) -> str:
    limits = [
        _BOUNDS[key].format(_number(getattr(each, key)))
        for each in _flat(metadata)
        for key in _BOUNDS
        if getattr(each, key, None) is not None
    ]
    return f"{text} {', '.join(limits)}" if limits else text


def _flat(metadata: Any) -> Iterator[Any]:
    """Yield the bounds in ``metadata``, those inside nested fields too."""
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
