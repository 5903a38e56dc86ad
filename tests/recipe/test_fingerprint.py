"""Recipes as TOML, and their fingerprints."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tables import changed

from kilonet.recipe.catalog import recipe_names
from kilonet.recipe.fingerprint import fingerprint, to_annotated_toml, to_toml
from kilonet.recipe.load import parse_recipe, resolve, validate
from kilonet.recipe.schema import Recipe

FULL = changed(
    data={"name": "kmnist", "validation": 0.1},
    augmentation={"rotation": 5.0, "crop": 22, "interpolation": "nearest"},
    model={"name": "conv-stack", "layers": "c8 M"},
    optimizer={"lr": 0.1, "momentum": 0.9, "nesterov": True},
    schedule={"name": "step", "step_size": 2},
    training={"ema": 0.99, "patience": 2, "threads": 2, "stop_at_accuracy": 0.5},
    constraints={"max_parameters": 10**6, "required_layers": ["dropout"]},
)


def recipe(**tables: dict[str, Any]) -> Recipe:
    return validate(changed(**tables), "test")


@pytest.mark.parametrize("name", recipe_names())
@pytest.mark.parametrize("write", [to_toml, to_annotated_toml])
def test_shipped_recipes_come_back_equal(name: str, write: Any) -> None:
    original = resolve(name).recipe
    assert parse_recipe(write(original), name) == original


@pytest.mark.parametrize("write", [to_toml, to_annotated_toml])
@pytest.mark.parametrize(
    "table",
    [
        FULL,
        {**FULL, "title": 'Quotes " and \\ and\nlines, [brackets] # and ünïcode', "assumed": ["a"]},
        changed(model={"name": "mynet:Net", "width": 8, "flag": True}),
        changed(model={"name": "mynet:Net", "deep": {"a": {"b": [1, 2]}}, "list": [{"c": 1}]}),
        changed(model={"name": "mynet:Net", "odd key": "x", "": 1}),
    ],
)
def test_recipes_come_back_equal(table: dict[str, Any], write: Any) -> None:
    original = validate(table, "test")
    assert parse_recipe(write(original), "test") == original


def test_annotated_has_a_sentence_above_each_key_and_names_what_is_off() -> None:
    lines = to_annotated_toml(recipe()).splitlines()
    keys = [i for i, line in enumerate(lines) if re.match(r"(# )?\w+ = ", line)]
    assert len(keys) > 30
    for index in keys:
        assert re.match(r"# .*[.)]$", lines[index - 1]), lines[index]
    assert "# ema = (off)" in lines
    assert "[training]" in lines
    assert max(map(len, lines)) <= 100


def test_the_fingerprint_never_changes() -> None:
    """Stored results contain fingerprints and would lose their recipes.

    The first recipes had no key for the kernels, and were trained with PyTorch's.
    """
    kernels = {"training": FULL["training"] | {"kernels": "torch"}}
    assert fingerprint(validate({**FULL, **kernels}, "test")) == "0eb0c7ec29b6"
    assert fingerprint(recipe(training={"kernels": "torch"})) == "d4032f95855c"
    assert fingerprint(recipe(training={"kernels": "auto"})) == fingerprint(recipe())


def test_later_keys_change_the_fingerprint_if_used() -> None:
    """With the value that recipes had before, they do not; the test above checks that."""
    names = [
        fingerprint(recipe(training=training))
        for training in (
            {},
            {"precision": "bfloat16"},
            {"precision": "auto"},
            {"kernels": "torch"},
            {"kernels": "compiled"},
        )
    ]
    assert len(set(names)) == len(names)
    assert fingerprint(recipe(training={"precision": "float32"})) == names[0]


def test_several_processes_are_part_of_a_fingerprint() -> None:
    """They were once, as a key of the recipe; stored states and results have such fingerprints."""
    names = [fingerprint(recipe(), processes) for processes in (1, 2, 3)]
    assert names[0] == fingerprint(recipe())
    assert len(set(names)) == 3


@pytest.mark.parametrize(
    "key",
    [
        *("elastic", "stroke", "blur", "paper", "noise", "inversion", "handwriting"),
        *("appearance_probability", "until"),
    ],
)
def test_later_augmentation_changes_the_fingerprint_if_used(key: str) -> None:
    assert fingerprint(recipe(augmentation={key: 0.5})) != fingerprint(recipe())


def test_later_keys_of_one_family_do_not_affect_others() -> None:
    stacked = {"name": "stacked-1x1"}
    names = [
        fingerprint(recipe(model=stacked | more))
        for more in ({}, {"batch_norm": True}, {"dropout": 0.25})
    ]
    assert names[0] == fingerprint(recipe(model=stacked | {"batch_norm": False, "dropout": 0.0}))
    assert len({*names}) == 3
    chain = {"name": "conv-stack", "layers": "c8 M"}
    bare = fingerprint(recipe(model=chain | {"batch_norm": False}))
    assert bare != fingerprint(recipe(model=chain))


@pytest.mark.parametrize(
    "tables",
    [
        {"training": {"seed": 5}},
        {"training": {"device": "cuda"}},
        {"training": {"threads": 3}},
        {"training": {"record_test_by_epoch": True}},
        {"constraints": {"max_parameters": 5}},
        {"log": {"tensorboard": True}},
    ],
)
def test_the_fingerprint_ignores(tables: dict[str, Any]) -> None:
    assert fingerprint(recipe(**tables)) == fingerprint(recipe())


@pytest.mark.parametrize("key", ["title", "source"])
def test_the_fingerprint_ignores_texts(key: str) -> None:
    table = {**changed(), key: "x", "assumed": ["optimizer.lr"]}
    assert fingerprint(validate(table, "test")) == fingerprint(recipe())


def _numbers(value: Recipe) -> list[tuple[str, str]]:
    ignored = {"seed", "threads"}
    return [
        (section, key)
        for section, content in value.model_dump().items()
        if isinstance(content, dict) and section not in ("log", "constraints")
        for key, number in content.items()
        if isinstance(number, int | float) and key not in ignored | {"record_test_by_epoch"}
    ]


NUMBERS = _numbers(validate(FULL, "test"))


@pytest.mark.parametrize(("section", "key"), NUMBERS, ids=".".join)
def test_the_fingerprint_changes_with_every_number(section: str, key: str) -> None:
    original = validate(FULL, "test")
    content = getattr(original, section)
    value = getattr(content, key)
    other = (not value) if isinstance(value, bool) else value + 1
    content = content.model_copy(update={key: other})
    changed_recipe = original.model_copy(update={section: content})
    assert fingerprint(changed_recipe) != fingerprint(original)


def test_numbers_of_all_sections_are_tried() -> None:
    assert len(NUMBERS) > 20
    sections = {section for section, _ in NUMBERS}
    assert sections == {"data", "augmentation", "model", "optimizer", "schedule", "training"}


def test_an_override_that_changes_nothing_keeps_the_fingerprint() -> None:
    assert fingerprint(resolve("quick", ["optimizer.lr=0.015"]).recipe) == fingerprint(
        resolve("quick").recipe
    )
