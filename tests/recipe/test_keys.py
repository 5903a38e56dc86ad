"""Keys and names of each section."""

from __future__ import annotations

from kilonet.recipe.catalog import recipe_names
from kilonet.recipe.families import FAMILIES, CustomConfig
from kilonet.recipe.keys import (
    ALTERNATIVES,
    PLAIN,
    SCALARS,
    all_keys,
    choices_at,
    known_keys,
    section_class,
)
from kilonet.recipe.load import resolve
from kilonet.recipe.schema import Recipe, SgdConfig


def test_every_section_of_a_recipe_is_known() -> None:
    known = {*PLAIN, *ALTERNATIVES, *SCALARS} - {""}
    assert known == set(Recipe.model_fields)
    assert SCALARS == ("title", "source", "assumed")


def test_every_alternative_has_its_name() -> None:
    for alternatives in ALTERNATIVES.values():
        for name, cls in alternatives.items():
            assert cls.model_fields["name"].annotation.__args__ == (name,)  # type: ignore[union-attr]


def test_all_families_can_be_named() -> None:
    assert choices_at("model") == list(FAMILIES)
    assert choices_at("data") == []


def test_optional_and_required_keys() -> None:
    assert known_keys("optimizer", {"name": "sgd"}) == {
        "name": False,
        "lr": True,
        "momentum": True,
        "nesterov": True,
        "weight_decay": True,
    }
    assert known_keys("training", {})["epochs"] is False
    assert known_keys("training", {})["ema"] is True
    assert known_keys("", {})["model"] is False
    assert known_keys("nope", {}) == {}


def test_a_custom_network_accepts_any_key() -> None:
    assert section_class("model", {"name": "mynet:Net"}) is CustomConfig
    assert known_keys("model", {"name": "mynet:Net"}) == {}
    assert section_class("optimizer", {"name": "sgd"}) is SgdConfig
    assert section_class("optimizer", {"name": ["sgd"]}) is None


def test_all_keys_are_keys_of_recipes() -> None:
    keys = all_keys()
    assert len(keys) == len(set(keys))
    for name in recipe_names():
        for section, content in resolve(name).recipe.model_dump().items():
            if isinstance(content, dict):
                assert {f"{section}.{key}" for key in content} <= set(keys)
