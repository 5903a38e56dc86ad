"""Validation of recipes: types, ranges, and combinations of keys."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from tables import changed, sections

from kilonet.recipe.schema import Recipe


def accepted(**tables: dict[str, Any]) -> bool:
    try:
        Recipe.model_validate(changed(**tables))
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("section", "key", "good", "bad"),
    [
        ("data", "validation", [0.01, 0.999], [-0.1, 1, 1.0, float("nan"), "0.1", True]),
        ("augmentation", "rotation", [0, 180.0], [-1, 181, float("inf")]),
        ("augmentation", "translation", [0, 0.5], [-0.1, 0.6]),
        ("augmentation", "scale", [0, 0.99], [-0.1, 1.0]),
        ("augmentation", "shear", [0, 60], [-1, 61]),
        ("augmentation", "crop", [1, 28], [0, 1.5, "20"]),
        ("augmentation", "crop_probability", [0, 1], [-0.1, 1.1]),
        ("augmentation", "interpolation", ["nearest", "bilinear"], ["cubic", 1]),
        ("optimizer", "lr", [1e-9, 1, 10.0], [0, -1, float("nan"), float("inf"), 1e7, "1"]),
        ("optimizer", "momentum", [0, 0.99], [-0.1, 1, 1.0]),
        ("optimizer", "weight_decay", [0, 0.1], [-1e-9, float("inf")]),
        ("training", "epochs", [1, 10**9], [0, -1, 1.0, 10**10, True, "3", None]),
        ("training", "batch_size", [1, 512], [0, 2.5]),
        ("training", "label_smoothing", [0, 0.9], [-0.1, 1]),
        ("training", "ema", [0.5, 0.999], [0, 1, -0.5]),
        ("training", "stop_at_accuracy", [0, 0.95, 1], [95, 1.01, -0.1]),
        ("training", "patience", [1], [0, 0.5]),
        ("training", "keep", ["best", "last"], ["first"]),
        ("training", "seed", [0, 2**32 - 1], [-1, 2**32, 0.5]),
        ("training", "threads", [1, 64], [0, 10**6]),
        ("training", "precision", ["float32", "bfloat16", "auto"], ["float16", "bf16", 16, None]),
        ("training", "deterministic", [True, False], [0, 1, "yes"]),
        ("constraints", "max_parameters", [1, 10**7], [0, 1e4]),
        ("constraints", "min_accuracy", [0, 0.994, 1], [99.4]),
        ("constraints", "required_layers", [[], ["dropout"]], ["dropout", ["relu"]]),
    ],
)
def test_ranges(section: str, key: str, good: list[Any], bad: list[Any]) -> None:
    assert all(accepted(**{section: {key: value}}) for value in good)
    assert not any(accepted(**{section: {key: value}}) for value in bad)


@pytest.mark.parametrize(
    ("schedule", "good", "bad"),
    [
        ("step", {"step_size": [1, 30], "gamma": [0.1, 1]}, {"step_size": [0], "gamma": [0, 1.1]}),
        ("plateau", {"factor": [0.1], "patience": [0]}, {"factor": [0, 1], "patience": [-1]}),
        ("one-cycle", {"warmup": [0.3]}, {"warmup": [0, 1], "start": [0.5], "end": [1e13]}),
    ],
)
def test_ranges_of_schedules(schedule: str, good: dict[str, Any], bad: dict[str, Any]) -> None:
    needed = {"name": schedule} | ({"step_size": 1} if schedule == "step" else {})
    for key, values in good.items():
        assert all(accepted(schedule={**needed, key: value}) for value in values)
    for key, values in bad.items():
        assert not any(accepted(schedule={**needed, key: value}) for value in values)


@pytest.mark.parametrize(
    ("layers", "good"),
    [
        ("c16 c16 M p12 c28 c28 M p32", True),
        ("c20k5s2 A3", True),
        ("  c8\n M ", True),
        ("", False),
        ("c0", False),
        ("c016", False),
        ("M1", False),
        ("p3k3", False),
        ("c8k0", False),
        ("C8", False),
        ("c123456", False),
        ("c٣", False),
    ],
)
def test_layers_of_a_stack(layers: str, good: bool) -> None:
    assert accepted(model={"name": "conv-stack", "layers": layers}) is good


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("mynet:Net", True),
        ("pkg.mod:Net", True),
        ("mynet:", False),
        (":Net", False),
        ("my net:Net", False),
        ("a:b:c", False),
        ("mynet:Net()", False),
        ("mynet:Net\n", False),
    ],
)
def test_names_of_custom_networks(name: str, good: bool) -> None:
    assert accepted(model={"name": name}) is good


def test_arguments_of_custom_networks_are_kept() -> None:
    arguments = {"width": 8, "sizes": [1, 2], "deep": {"a": {"b": True}}, "act": "relu"}
    recipe = Recipe.model_validate(changed(model={"name": "mynet:Net", **arguments}))
    assert recipe.model.model_dump(exclude={"name"}) == arguments


@pytest.mark.parametrize("section", ["data", "model", "optimizer", "training", "constraints"])
def test_unknown_keys_are_refused(section: str) -> None:
    assert not accepted(**{section: {"nope": 1}})


def test_sections_are_immutable() -> None:
    recipe = Recipe.model_validate(changed())
    with pytest.raises(ValidationError):
        recipe.training.epochs = 4


def test_nesterov_needs_momentum() -> None:
    assert not accepted(optimizer={"nesterov": True})
    assert accepted(optimizer={"nesterov": True, "momentum": 0.9})


@pytest.mark.parametrize(
    "deciding",
    [
        {"training": {"keep": "best"}},
        {"training": {"keep": "last", "patience": 2}},
        {"training": {"keep": "last", "stop_at_accuracy": 0.9}},
        {"training": {"keep": "last"}, "schedule": {"name": "plateau"}},
    ],
)
def test_decisions_need_validation_images(deciding: dict[str, Any]) -> None:
    assert accepted(**deciding)
    assert not accepted(**deciding, data={"validation": 0})


def test_without_validation_images_the_last_weights_are_kept() -> None:
    assert accepted(data={"validation": 0}, training={"keep": "last"})


def test_epochs_must_be_within_their_limit() -> None:
    assert accepted(constraints={"max_epochs": 3})
    assert not accepted(constraints={"max_epochs": 2})


@pytest.mark.parametrize(("section", "name", "cls"), list(sections()))
def test_every_key_has_a_description(section: str, name: str, cls: Any) -> None:
    assert cls.__doc__
    for key, field in cls.model_fields.items():
        assert field.description, f"{section} {name} {key}"
        assert field.description.endswith("."), key
