"""``--vary`` words as cells, ``--search`` words as dimensions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonet.errors import UsageError
from kilonet.studies.grid import (
    Dimension,
    baseline_of,
    cells_of,
    parse_axes,
    parse_space,
    split_values,
)


def cells(*words: str) -> list[tuple[tuple[str, ...], str, str]]:
    return [
        (cell.overrides, cell.label, cell.slug) for cell in cells_of(parse_axes(words), "quick")
    ]


def test_cells_are_the_product_of_the_axes_the_first_changes_slowest() -> None:
    found = cells("optimizer.name=adam,sgd", "training.batch_size=64,128")
    assert found[1] == (
        ("optimizer.name=adam", "training.batch_size=128"),
        "adam, batch_size=128",
        "adam-batch_size=128",
    )
    assert [slug for _, _, slug in found] == [
        "adam-batch_size=64",
        "adam-batch_size=128",
        "sgd-batch_size=64",
        "sgd-batch_size=128",
    ]


def test_without_axes_there_is_one_cell() -> None:
    assert cells() == [((), "quick", "quick")]


def test_a_section_can_be_one_value() -> None:
    word = 'optimizer={name="adam",lr=0.01},{name="sgd",lr=0.1}'
    assert [label for _, label, _ in cells(word)] == ["adam lr=0.01", "sgd lr=0.1"]


def test_labels_are_short() -> None:
    words = ["training.ema=off,0.99", "optimizer.nesterov=true,false", 'model.layers="c8 M","c8-M"']
    labels = {word.split("=")[0]: [label for _, label, _ in cells(word)] for word in words}
    assert labels["training.ema"] == ["ema=off", "ema=0.99"]
    assert labels["optimizer.nesterov"] == ["nesterov=true", "nesterov=false"]
    assert [slug for _, _, slug in cells(words[2])] == ["layers=c8-M", "layers=c8-M-2"]


@given(st.lists(st.text("abc[]{}\"' =", min_size=1), min_size=1))
def test_splitting_loses_nothing(parts: list[str]) -> None:
    text = ",".join(parts)
    assert ",".join(split_values(text)) == text


@given(st.lists(st.text("abc0. ", min_size=1), min_size=1))
def test_plain_values_are_split_at_each_comma(parts: list[str]) -> None:
    assert split_values(",".join(parts)) == parts


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("optimizer.name", "is not KEY=A,B"),
        ("=1,2", "is not KEY=A,B"),
        ("optimizer.lr=", "has an empty value"),
        ("optimizer.lr=1,,2", "has an empty value"),
        ("optimizer.lr=1,2,1", "has the value 1 twice"),
        ("training.seed=1,2", "use --seeds N instead"),
        ("a.b.c=1", "write section.key"),
    ],
)
def test_refused(word: str, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        cells(word)


def test_a_key_varied_twice() -> None:
    with pytest.raises(UsageError, match="lr is varied twice"):
        parse_axes(["optimizer.lr=1", "optimizer.lr=2"])


@pytest.mark.parametrize("wanted", ["sgd", "optimizer.name=sgd"])
def test_a_baseline_by_its_name(wanted: str) -> None:
    found = cells_of(parse_axes(["optimizer.name=adam,sgd"]), "quick")
    assert baseline_of(found, None) == 0
    assert baseline_of(found, wanted) == 1
    with pytest.raises(UsageError, match=r'no cell "sdg".*Did you mean "sgd"'):
        baseline_of(found, "sdg")


def test_the_forms_of_a_dimension() -> None:
    words = ["optimizer.lr=log(1e-4, 1)", "a.b=uniform(0,0.5)", "a.c=int(1,9)", "a.d=x,[1,2],y"]
    assert parse_space(words) == [
        Dimension("optimizer.lr", "log", 1e-4, 1.0),
        Dimension("a.b", "uniform", 0.0, 0.5),
        Dimension("a.c", "int", 1, 9),
        Dimension("a.d", "choice", choices=("x", "[1,2]", "y")),
    ]


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("optimizer.lr", "is not a search range"),
        ("optimizer.lr=1", "is not a search range"),
        ("optimizer.lr=1,", "is not a search range"),
        ("optimizer.lr=log(0,1)", "must rise from a number above 0"),
        ("optimizer.lr=uniform(1,1)", "must rise"),
        ("optimizer.lr=uniform(nan,1)", "must rise"),
        ("optimizer.lr=uniform(0,inf)", "must rise"),
        ("optimizer.lr=int(1.5,3)", "takes two whole numbers"),
        ("training.seed=1,2", "must not choose the seed"),
    ],
)
def test_a_dimension_is_refused(word: str, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        parse_space([word])


def test_a_key_searched_twice() -> None:
    with pytest.raises(UsageError, match="is searched twice"):
        parse_space(["a.b=1,2", "a.b=3,4"])
