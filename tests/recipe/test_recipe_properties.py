"""Any input gives a recipe that can be written and read again, or one error."""

from __future__ import annotations

import math
from typing import Any

import tomli_w
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from tables import NOISE, WORDS, Table, nearly_recipes, recipe_tables

from kilonet.errors import KilonetError, RecipeError
from kilonet.recipe.catalog import recipe_names
from kilonet.recipe.fingerprint import fingerprint, to_annotated_toml, to_toml
from kilonet.recipe.load import parse_recipe, resolve, validate
from kilonet.recipe.schema import Recipe


def holds_nan(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(holds_nan, value.values()))
    if isinstance(value, list):
        return any(map(holds_nan, value))
    return isinstance(value, float) and math.isnan(value)


def holds_up(recipe: Recipe) -> None:
    assert len(fingerprint(recipe)) == 12
    assume(not holds_nan(recipe.model_dump()))  # which does not even equal itself
    for write in (to_toml, to_annotated_toml):
        again = parse_recipe(write(recipe), "written")
        assert again == recipe
        assert fingerprint(again) == fingerprint(recipe)


def is_one_sentence_or_more(error: KilonetError) -> None:
    text = str(error)
    assert text
    assert "\n" not in text
    assert "Input should" not in text
    assert error.exit_code == 2


BREAKS_A_LINE: Table = {  # for str.splitlines, not for TOML
    "model": {"name": "net:Net", "text": "\x85"},
    "optimizer": {"name": "adam"},
    "training": {"epochs": 1},
}


@given(st.one_of(recipe_tables(), nearly_recipes(), NOISE))
@example(BREAKS_A_LINE)
@settings(max_examples=150, deadline=None)
def test_tables(table: Table) -> None:
    try:
        recipe = validate(table, "mine.toml")
    except RecipeError as error:
        is_one_sentence_or_more(error)
    else:
        holds_up(recipe)


@given(recipe_tables())
@settings(max_examples=50, deadline=None)
def test_tables_written_as_toml(table: Table) -> None:
    """A table and the TOML that says it are the same recipe, or both wrong.

    Where a stored recipe does not name its kernels, they were PyTorch's.
    """
    assume(not holds_nan(table))
    if isinstance(table.get("training"), dict):
        table["training"].setdefault("kernels", "torch")
    text = tomli_w.dumps(table)
    results = []
    for read in (lambda: validate(table, "x"), lambda: parse_recipe(text, "x")):
        try:
            results.append(read())
        except RecipeError:
            results.append(None)
    assert results[0] == results[1]


@given(st.text(max_size=60))
@settings(max_examples=100, deadline=None)
def test_texts(text: str) -> None:
    try:
        holds_up(parse_recipe(text, "mine.toml"))
    except RecipeError as error:
        assert str(error).startswith("mine.toml: ")


@given(st.sampled_from(recipe_names()), st.lists(WORDS, max_size=4))
@settings(max_examples=150, deadline=None)
def test_words(name: str, words: list[str]) -> None:
    try:
        resolved = resolve(name, words)
    except KilonetError as error:
        assert error.exit_code == 2
        assert "Input should" not in str(error)
    else:
        holds_up(resolved.recipe)
