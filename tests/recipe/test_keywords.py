"""Keyword arguments as overrides."""

from __future__ import annotations

from typing import Any

import pytest

from kilonet.errors import KilonetError, UsageError
from kilonet.recipe.keys import as_overrides
from kilonet.recipe.load import resolve


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({}, []),
        ({"epochs": 2}, ["training.epochs=2"]),
        ({"lr": 0.05}, ["optimizer.lr=0.05"]),
        ({"data_name": "digits"}, ['data.name="digits"']),
        ({"training_batch_size": 64}, ["training.batch_size=64"]),
        ({"ema": None}, ["training.ema=off"]),
        ({"deterministic": True}, ["training.deterministic=true"]),
        ({"epochs": 2, "seed": 1}, ["training.epochs=2", "training.seed=1"]),
    ],
)
def test_words(keywords: dict[str, Any], words: list[str]) -> None:
    assert as_overrides(keywords) == words


@pytest.mark.parametrize(
    ("keywords", "section", "key", "value"),
    [
        ({"optimizer_name": "sgd"}, "optimizer", "name", "sgd"),
        ({"required_layers": ["dropout"]}, "constraints", "required_layers", ["dropout"]),
        ({"required_layers": ("dropout",)}, "constraints", "required_layers", ["dropout"]),
        ({"data_name": "off"}, "data", "name", "off"),
        ({"data_name": 'a "quoted"\nname'}, "data", "name", 'a "quoted"\nname'),
        ({"max_parameters": None}, "constraints", "max_parameters", None),
        ({"validation": 1e-05}, "data", "validation", 1e-05),
    ],
)
def test_values_arrive(keywords: dict[str, Any], section: str, key: str, value: Any) -> None:
    recipe = resolve("quick", as_overrides(keywords)).recipe
    assert getattr(getattr(recipe, section), key) == value


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({"epoch": 2}, 'A recipe has no key "epoch". Did you mean "epochs"?'),
        ({"name": "x"}, '"name" is a key of several sections: write data_name or model_name'),
        ({"patience": 1}, "write training_patience or schedule_patience"),
        ({"dropout": object()}, "not object"),
        ({"epochs": {"a": 1}}, "not dict"),
        ({"required_layers": [object()]}, "not list"),
        ({"epochs": 2 + 1j}, "not complex"),
    ],
)
def test_refused(keywords: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        as_overrides(keywords)
    assert text in str(caught.value)


@pytest.mark.parametrize("value", [[1, [2, "x"]], [[]], -1, 1e300, "\x00", "ü" * 50, float("inf")])
def test_odd_values_are_values_or_one_error(value: Any) -> None:
    words = as_overrides({"data_name": value})
    try:
        assert resolve("quick", words).recipe.data.name == value
    except KilonetError as error:
        assert "[data] name" in str(error)
