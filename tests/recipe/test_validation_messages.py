"""Each mistake in a recipe gives one sentence that names section and key."""

from __future__ import annotations

from typing import Any

import pytest
from tables import changed

from kilonet.errors import RecipeError
from kilonet.recipe.load import validate


def message(table: dict[str, Any]) -> str:
    with pytest.raises(RecipeError) as caught:
        validate(table, "mine.toml")
    text = str(caught.value)
    assert text.startswith("mine.toml: ")
    assert text.endswith((".", "?"))
    assert "\n" not in text
    return text.removeprefix("mine.toml: ")


@pytest.mark.parametrize(
    ("tables", "text"),
    [
        (
            {"training": {"epochs": "1"}},
            '[training] epochs: must be a whole number, not "1". Passes over the training images.',
        ),
        (
            {"training": {"epochs": 1.5}},
            "[training] epochs: must be a whole number, not 1.5. Passes over the training images.",
        ),
        (
            {"training": {"epochs": 0}},
            "[training] epochs: must be at least 1, not 0. Passes over the training images.",
        ),
        (
            {"optimizer": {"lr": -1}},
            "[optimizer] lr: must be above 0, not -1. Learning rate; with a schedule, its peak.",
        ),
        (
            {"training": {"stop_at_accuracy": 95}},
            "[training] stop_at_accuracy: must be at most 1, not 95. "
            "Stop when the validation accuracy, a fraction, reaches this value.",
        ),
        (
            {"augmentation": {"scale": 1}},
            "[augmentation] scale: must be below 1, not 1. "
            "Largest change of size: factors are 1 - scale to 1 + scale.",
        ),
        (
            {"augmentation": {"rotation": float("nan")}},
            "[augmentation] rotation: must be a finite number, not nan. "
            "Largest rotation in either direction, in degrees.",
        ),
        (
            {"training": {"deterministic": "yes"}},
            '[training] deterministic: must be true or false, not "yes". '
            "On CUDA, use only deterministic kernels (the CPU always does).",
        ),
        (
            {"data": {"name": True}},
            '[data] name: must be text, not true. A data set ("kilonet data" lists them), '
            "or folder:PATH for your own pictures.",
        ),
        (
            {"training": {"keep": "first\nand last"}},
            "[training] keep: must be 'best' or 'last', not \"first\\nand last\". "
            "The weights that are evaluated: the best on validation images, or the last.",
        ),
        (
            {"constraints": {"required_layers": ["dropout", "relu"]}},
            "[constraints] required_layers, item 2: must be 'batch-norm', 'dropout' or "
            "'global-average-pooling', not \"relu\". Kinds of layer the network must contain.",
        ),
        (
            {"training": {"epoch": 3}},
            '[training] unknown key "epoch". Did you mean "epochs"?',
        ),
        (
            {"optimizer": {"beta": 3}},
            '[optimizer] unknown key "beta". Known: name, lr, momentum, nesterov, weight_decay.',
        ),
        (
            {"optimizer": {"name": "adamm"}},
            '[optimizer] name: there is no optimizer "adamm". Did you mean "adam"? '
            "Known: adam, adamw, sgd, muon, rmsprop.",
        ),
        (
            {"model": {"name": "simpel"}},
            '[model] name: there is no model "simpel". Did you mean "simple"? Known: two-conv, '
            "conv-stack, stacked-1x1, plain-valid, simple, or your own as module:Class.",
        ),
        (
            {"model": {"name": "my net:Net"}},
            '[model] name: must look like package.module:Class, not "my net:Net". '
            "Your own network as package.module:Class; other keys are its arguments.",
        ),
        (
            {"schedule": {"step_size": 3}},
            "[schedule] name is missing; a recipe needs it. "
            "Known: none, step, plateau, one-cycle, cosine.",
        ),
        (
            {"schedule": {"name": "step"}},
            "[schedule] step_size is missing; a recipe needs it. Epochs between two decays.",
        ),
        (
            {"optimizer": {"nesterov": True}},
            "[optimizer] nesterov = true needs a momentum above 0, for example 0.9.",
        ),
        (
            {"data": {"validation": 0}},
            'training.keep = "best" needs validation images, but data.validation is 0; '
            "set a fraction, or turn it off.",
        ),
    ],
)
def test_message(tables: dict[str, Any], text: str) -> None:
    assert message(changed(**tables)) == text


@pytest.mark.parametrize(
    ("section", "value", "text"),
    [
        ("title", 5, "title: must be text, not 5. One line that describes the recipe."),
        (
            "assumed",
            ["a", 1],
            "assumed, item 2: must be text, not 1. "
            "Keys that the source does not specify and this recipe chose.",
        ),
        ("data", "mnist", '[data] must be a section with keys such as data.name, not "mnist".'),
        (
            "model",
            "simple",
            '[model] must be a section with keys such as model.name, not "simple".',
        ),
        ("training", 5, "[training] must be a section with keys such as training.epochs, not 5."),
        (
            "optimizer",
            ["adam"],
            "[optimizer] must be a section with keys such as optimizer.name, not ['adam'].",
        ),
        ("augmentations", {}, 'unknown key "augmentations". Did you mean "augmentation"?'),
    ],
)
def test_message_about_a_whole_section(section: str, value: Any, text: str) -> None:
    assert message({**changed(), section: value}) == text


def test_a_misspelt_key_is_reported_before_the_missing_one() -> None:
    table = changed()
    table["training"] = {"epoch": 3}
    assert 'unknown key "epoch". Did you mean "epochs"?' in message(table)


def test_a_missing_section_is_named() -> None:
    table = changed()
    del table["model"]
    assert message(table) == "[model] is missing; a recipe needs it."


def test_long_values_are_shortened() -> None:
    assert len(message(changed(data={"name": ["x" * 10_000]}))) < 200
