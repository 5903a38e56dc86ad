"""The recipes that ship."""

from __future__ import annotations

from pathlib import Path

import pytest

from kilonet.errors import UsageError
from kilonet.recipe.catalog import DEFAULT_RECIPE, copy_recipe, recipe_names, recipe_text
from kilonet.recipe.load import resolve


def test_the_default_comes_first_the_others_sorted() -> None:
    names = recipe_names()
    assert names[0] == DEFAULT_RECIPE
    assert names[1:] == sorted(names[1:])
    assert {"gap-14k", "simple-8k", "stacked-1x1", "two-conv-fc64"} <= set(names)


@pytest.mark.parametrize("name", recipe_names())
def test_each_has_a_title_and_a_source(name: str) -> None:
    resolved = resolve(name)
    assert resolved.name == name
    assert resolved.recipe.title
    assert resolved.recipe.source


@pytest.mark.parametrize("name", recipe_names())
def test_assumed_keys_are_set(name: str) -> None:
    recipe = resolve(name).recipe
    for key in recipe.assumed:
        section, _, inside = key.partition(".")
        assert inside in type(getattr(recipe, section)).model_fields, key


def test_copies_are_the_same_recipe(tmp_path: Path) -> None:
    path = copy_recipe("quick", tmp_path / "mine.toml")
    assert path.read_text(encoding="utf-8") == recipe_text("quick")
    assert resolve(path).recipe == resolve("quick").recipe


def test_a_copy_into_a_folder_keeps_its_name(tmp_path: Path) -> None:
    assert copy_recipe("quick", tmp_path) == tmp_path / "quick.toml"


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("there.toml", "exists already"),
        ("mine", "does not end in .toml"),
        ("nowhere/mine.toml", "No such file or directory"),
        ("there.toml/mine.toml", "Not a directory"),
        ("x" * 300 + ".toml", "File name too long"),
    ],
)
def test_refused_targets(tmp_path: Path, target: str, text: str) -> None:
    (tmp_path / "there.toml").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        copy_recipe("quick", tmp_path / target)
    assert text in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["there.toml"]
    assert (tmp_path / "there.toml").read_text(encoding="utf-8") == "mine"


def test_unknown_recipes_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='Did you mean "gap-14k"'):
        copy_recipe("gap14k", tmp_path / "mine.toml")
    assert list(tmp_path.iterdir()) == []
