"""Loading a recipe by name or from a file."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from kilonet.errors import RecipeError, UsageError
from kilonet.recipe.load import parse_recipe, resolve, validate

TEXT = """
[model]
name = "simple"
[optimizer]
name = "sgd"
[training]
epochs = 3
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_a_shipped_recipe_by_name() -> None:
    resolved = resolve("gap-14k", ["optimizer.lr=0.05", "training.epochs=3"])
    assert resolved.name == "gap-14k"
    assert resolved.recipe.optimizer.lr == 0.05
    assert resolved.recipe.training.epochs == 3
    assert resolved.recipe.data.name == "mnist"


def test_the_users_own_file(mine: Path) -> None:
    resolved = resolve(mine)
    assert resolved.name == "mine"
    assert resolved.recipe.training.epochs == 3
    assert resolve(str(mine)) == resolved


@pytest.mark.parametrize(
    ("data", "words", "named"),
    [
        ("", [], False),
        ("[data]\nvalidation = 0.1", [], False),
        ('[data]\nname = "mnist"', [], True),
        ("", ["data.name=mnist"], True),
        ("", ['data={name="mnist"}'], True),
        ("", ["data.validation=0.1"], False),
        ('[data]\nname = "mnist"', ["data.name=off"], False),
    ],
)
def test_whether_the_user_named_the_data_set(
    mine: Path, data: str, words: list[str], named: bool
) -> None:
    mine.write_text(TEXT + data, encoding="utf-8")
    assert resolve(mine, words).data_named is named


def test_a_shipped_recipe_is_not_the_users_choice_of_data() -> None:
    assert not resolve("quick").data_named
    assert resolve("quick", ["data.name=digits"]).data_named


def test_a_byte_order_mark_is_ignored(mine: Path) -> None:
    mine.write_text(TEXT, encoding="utf-8-sig")
    assert resolve(mine).recipe.training.epochs == 3


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b'title = "x"\n\n[model\n', "line 3"),
        (b"\xff\xfe\x00", "not a text file in UTF-8"),
        (b"x = " + b"9" * 5000, "not valid TOML"),
        (b"x = " + b"[" * 5000, "nested too deeply"),
        (b"", "[model] is missing"),
    ],
)
def test_files_that_are_not_recipes(mine: Path, content: bytes, text: str) -> None:
    mine.write_bytes(content)
    with pytest.raises(RecipeError) as caught:
        resolve(mine)
    assert text in str(caught.value)
    assert str(caught.value).startswith(str(mine))


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("quikc", 'Did you mean "quick"?'),
        ("nowhere.toml", "There is no recipe file nowhere.toml"),
        ("x" * 5000 + ".toml", "Cannot read the recipe"),
        ("\0.toml", "Cannot read the recipe"),
        ("../recipes/quick", "There is no recipe"),
        ("", "There is no recipe"),
    ],
)
def test_unknown_recipes(source: str, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(source)
    assert text in str(caught.value)


def test_a_folder_is_not_a_recipe(tmp_path: Path) -> None:
    folder = tmp_path / "folder.toml"
    folder.mkdir()
    with pytest.raises(UsageError, match="Cannot read the recipe"):
        resolve(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a" + ".a" * 50_000 + " = 1", "dots"),
        ("[a" + ".a" * 50_000 + "]", "dots"),
        ("a = {" + "'b' . " * 50_000 + "c = 1}", "characters|dots"),
        ("a = " + "[" * 50_000, "nested"),
        ("a = 1\n" * 100_000, "characters"),
    ],
)
def test_files_that_would_take_long_to_parse(mine: Path, text: str, message: str) -> None:
    mine.write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError, match=message):
        resolve(mine)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(UsageError, match="a pipe"):
        resolve(tmp_path / "pipe.toml")


def test_errors_name_the_origin() -> None:
    with pytest.raises(RecipeError, match=r"^some run: \[training\] epochs"):
        parse_recipe(TEXT.replace("3", "0"), "some run")


@pytest.mark.parametrize("key", ["data.name", "training.teachers", "title"])
def test_names_that_are_not_utf8_are_refused_before_training(key: str) -> None:
    """A recipe is stored as UTF-8, and the bytes of a file's name may be anything."""
    value = "folder:caf\udce9" if key == "data.name" else "caf\udce9"
    table = tomllib.loads(TEXT)
    section, _, name = key.rpartition(".")
    place = table.setdefault(section, {}) if section else table
    place[name] = [value] if key.endswith("teachers") else value
    with pytest.raises(RecipeError, match=rf"^mine: {key}: .*not UTF-8.* symbolic link"):
        validate(table, "mine")
