"""Removed keys: stored recipes keep working, and new ones get a message that helps."""

from __future__ import annotations

from pathlib import Path

import pytest

from kilonet.errors import RecipeError
from kilonet.recipe.fingerprint import fingerprint, to_toml
from kilonet.recipe.load import parse_recipe, resolve

# The recipe.toml of a run of version 0.1.0, shortened to the keys without a default.
STORED = """
[model]
name = "simple"

[optimizer]
name = "sgd"

[training]
epochs = 3
loss = "cross-entropy"
workers = 2
"""


def test_a_stored_recipe_is_read_without_removed_keys() -> None:
    recipe = parse_recipe(STORED, "runs/old/recipe.toml")
    assert recipe.training.epochs == 3
    assert "loss" not in to_toml(recipe)


def test_a_stored_recipe_keeps_the_fingerprint_of_the_first_results() -> None:
    recipe = parse_recipe(STORED, "runs/old/recipe.toml")
    assert fingerprint(recipe) == "d4032f95855c"
    assert fingerprint(parse_recipe(to_toml(recipe), "again")) == "d4032f95855c"


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ('loss = "cross-entropy"', "Cross-entropy is the only loss; leave the key out."),
        ("workers = 2", "torchrun --nproc-per-node N -m kilonet train RECIPE"),
    ],
)
@pytest.mark.parametrize("how", ["file", "override", "off"])
def test_a_users_recipe_says_what_replaces_a_removed_key(
    tmp_path: Path, line: str, answer: str, how: str
) -> None:
    mine = tmp_path / "mine.toml"
    base = STORED.partition("loss")[0]
    mine.write_text(base + line if how == "file" else base, encoding="utf-8")
    key = line.partition(" ")[0]
    word = f"training.{key}=off" if how == "off" else f"training.{line.replace(' ', '')}"
    with pytest.raises(RecipeError) as caught:
        resolve(mine, [] if how == "file" else [word])
    assert f"[training] {key} is no longer a key. " in str(caught.value)
    assert answer in str(caught.value)
