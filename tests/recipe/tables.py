"""Recipes as tables, for the tests of this folder, and Hypothesis strategies of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st
from pydantic import BaseModel

from kilonet.recipe.keys import ALTERNATIVES, PLAIN, all_keys

Table = dict[str, Any]

MINIMAL: Table = {
    "model": {"name": "simple"},
    "optimizer": {"name": "sgd"},
    "training": {"epochs": 3},
}


def changed(**sections: Table) -> Table:
    """Return the minimal recipe with keys of some sections replaced."""
    table = {name: dict(content) for name, content in MINIMAL.items()}
    for name, content in sections.items():
        table[name] = {**table.get(name, {}), **content}
    return table


def sections() -> Iterator[tuple[str, str, type[BaseModel]]]:
    """Yield (section, name or "", class) for every section and each of its alternatives."""
    yield from ((section, "", cls) for section, cls in PLAIN.items() if section)
    for section, alternatives in ALTERNATIVES.items():
        yield from ((section, name, cls) for name, cls in alternatives.items())


# Values that TOML can hold, small and odd ones alike.
SCALARS = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.datetimes(),
    st.sampled_from(["adam", "sgd", "none", "step", "gap", "simple", "a.b:C", "c8 M"]),
    st.sampled_from([0, 1, 2, 0.5, 1.0, 1e-3, 28, 10**30, float("inf")]),
)
NAMES = [key.partition(".")[2] for key in all_keys()]
KEYS = st.one_of(st.text(max_size=6), st.sampled_from(NAMES))
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=2),
    st.dictionaries(KEYS, SCALARS | st.lists(SCALARS, max_size=2), max_size=2),
)
SECTION_NAMES = st.one_of(st.sampled_from([*PLAIN, *ALTERNATIVES]), st.text(max_size=6))
NOISE = st.dictionaries(SECTION_NAMES, VALUES, max_size=2)


def fitting(annotation: Any, metadata: Sequence[Any]) -> st.SearchStrategy[Any]:
    """Return values of a field's type, within the bounds that its metadata sets."""
    bounds = {
        name: getattr(bound, name)
        for bound in metadata
        for name in ("ge", "gt", "le", "lt")
        if hasattr(bound, name)
    }
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal:
        return st.sampled_from(arguments)
    if get_origin(annotation) in (Annotated, UnionType, Union):
        inner = getattr(arguments[1], "metadata", metadata)
        return fitting(arguments[0], inner)
    if get_origin(annotation) is list:
        return st.lists(fitting(arguments[0], ()), max_size=2)
    if annotation is int:
        return st.integers(bounds.get("ge"), bounds.get("le"))
    if annotation is float:
        low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
        return st.floats(low, high, exclude_min="gt" in bounds, exclude_max="lt" in bounds)
    return st.booleans() if annotation is bool else st.text(max_size=8)


@st.composite
def section_tables(draw: st.DrawFn, name: str, cls: type[BaseModel]) -> Table:
    """Draw a table that ``cls`` accepts, but for what several of its keys demand of each other."""
    table: Table = {"name": name} if name else {}
    for key, field in cls.model_fields.items():
        if key != "name" and (field.is_required() or draw(st.booleans())):
            table[key] = draw(fitting(field.annotation, field.metadata))
    if "layers" in table:
        table["layers"] = draw(st.sampled_from(["c8", "c16k5s2 M p4", "A3 c4"]))
    return table


@st.composite
def recipe_tables(draw: st.DrawFn) -> Table:
    """Draw a recipe that is valid unless some of its keys contradict each other."""
    table: Table = {}
    for section, cls in PLAIN.items():
        if section:
            table[section] = draw(section_tables("", cls))
    for section, alternatives in ALTERNATIVES.items():
        name = draw(st.sampled_from([*alternatives]))
        table[section] = draw(section_tables(name, alternatives[name]))
    if draw(st.booleans()):
        table["model"] = {**draw(st.dictionaries(KEYS, VALUES, max_size=2)), "name": "net:Net"}
    return table


@st.composite
def nearly_recipes(draw: st.DrawFn) -> Table:
    """Draw a recipe with a section or a few keys replaced by anything."""
    table = draw(recipe_tables())
    for section, content in draw(NOISE).items():
        both = isinstance(content, dict) and isinstance(table.get(section), dict)
        table[section] = {**table[section], **content} if both else content
    return table


WORDS = st.one_of(
    st.builds(
        "{}={}".format,
        st.sampled_from([*all_keys(), "schedule", "augmentation", "title", "model.width"]),
        st.one_of(
            st.just("off"),
            st.sampled_from(["sgd", "adamw", "step", "one-cycle", "two-conv", "c8 M p4", "m:N"]),
            st.integers(-2, 10**6).map(str),
            st.floats(0, 1).map(str),
            st.sampled_from(["true", "[1, 2]", "{a = 1}", "'x'", '"', "[", "2024-01-01", ""]),
            st.text(max_size=6),
        ),
    ),
    # What mostly goes through, so that several words at once are tried too.
    st.sampled_from(
        [
            "training.seed=3",
            "optimizer.lr=0.1",
            "training.ema=0.9",
            "training.patience=off",
            "schedule=off",
            "schedule.name=off",
            "augmentation={rotation = 5}",
            "data.name=x",
            "model.name=m:N",
            "optimizer.name=adam",
            "data.validation=0.5",
            "title='x'",
        ]
    ),
    st.text(max_size=12),
)
