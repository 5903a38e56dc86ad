"""``section.key=value`` words."""

from __future__ import annotations

from typing import Any

import pytest
from tables import changed

from kilonet.errors import RecipeError, UsageError
from kilonet.recipe.load import apply_override, parse_overrides


def applied(*words: str, **tables: dict[str, Any]) -> dict[str, Any]:
    table = changed(**tables)
    for key, value in parse_overrides(words):
        apply_override(table, key, value)
    return table


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("0.05", 0.05),
        ("1e-3", 1e-3),
        ("true", True),
        ("adam", "adam"),
        ('"adam"', "adam"),
        ("c16 M p8", "c16 M p8"),
        ("[1, 2]", [1, 2]),
        (" 3 ", 3),
        ("", ""),
        ("off", None),
        ("'off'", "off"),
        ("a=b", "a=b"),
        ("1\nother = 2", "1\nother = 2"),
        ("9" * 5000, "9" * 5000),
        ("[" * 5000, "[" * 5000),
    ],
)
def test_values(text: str, value: Any) -> None:
    assert parse_overrides([f"a.b={text}"]) == [("a.b", value)]


@pytest.mark.parametrize("word", ["", "=", "=1", "epochs", "a.b.c=1", "..=1"])
def test_not_an_override(word: str) -> None:
    with pytest.raises(UsageError, match=r"optimizer\.lr"):
        parse_overrides([word])


def test_order_is_sections_then_names_then_keys() -> None:
    words = ["optimizer.lr=1", "optimizer.name=adam", "title=x", "optimizer.lr=2"]
    keys = ["title", "optimizer.name", "optimizer.lr", "optimizer.lr"]
    assert [key for key, _ in parse_overrides(words)] == keys
    assert applied(*words)["optimizer"] == {"name": "adam", "lr": 2}


def test_a_new_name_resets_the_section() -> None:
    before = {"optimizer": {"name": "sgd", "momentum": 0.9}}
    assert applied("optimizer.name=adam", **before)["optimizer"] == {"name": "adam"}
    assert applied("optimizer.name=sgd", **before)["optimizer"] == before["optimizer"]


def test_another_data_set_keeps_the_split() -> None:
    after = applied("data.name=kmnist", data={"name": "mnist", "validation": 0.2})
    assert after["data"] == {"name": "kmnist", "validation": 0.2}


def test_off_unsets_optional_keys() -> None:
    table = applied("training.ema=off", "augmentation=off", training={"ema": 0.9}, augmentation={})
    assert table == changed()


def test_a_schedule_is_turned_off_by_its_name() -> None:
    table = applied("schedule.name=off", schedule={"name": "step", "step_size": 3})
    assert table["schedule"] == {"name": "none"}


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("training.epochs=off", "[training] epochs cannot be off: a recipe needs it."),
        ("optimizer=off", "[optimizer] cannot be off: a recipe needs it."),
        ("training.patients=off", 'unknown key "patients", so it cannot be off.'),
        ("training.patients=off", 'Did you mean "patience"?'),
        ("scheduel=off", 'Did you mean "schedule"?'),
    ],
)
def test_off_is_refused(word: str, text: str) -> None:
    with pytest.raises(RecipeError) as caught:
        applied(word)
    assert text in str(caught.value)


def test_the_table_of_a_section_is_not_shared() -> None:
    section = {"name": "sgd"}
    table = {"optimizer": section}
    apply_override(table, "optimizer.lr", 1.0)
    assert section == {"name": "sgd"}
