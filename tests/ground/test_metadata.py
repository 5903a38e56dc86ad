"""The metadata of an ONNX file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonet.metadata import classes_of, pack_classes, preparation_of

NAMES = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=8)


@given(st.lists(NAMES, min_size=2, max_size=5, unique=True))
def test_names_come_back(names: list[str]) -> None:
    assert classes_of({"classes": pack_classes(names)}, len(names)) == tuple(names)


def test_plain_names_are_plain_text() -> None:
    assert pack_classes(["cat", "dog"]) == "cat,dog"


@pytest.mark.parametrize("text", ["", "a,b", "[", '["a"]', "a,,b"])
def test_where_names_do_not_fit_there_are_numbers(text: str) -> None:
    assert classes_of({"classes": text}, 3) == ("0", "1", "2")


def test_preparation() -> None:
    assert preparation_of({}, (1, 28, 28)) == "ink"
    assert preparation_of({}, (3, 32, 32)) == "fit"
    assert preparation_of({"preparation": "fit"}, (1, 28, 28)) == "fit"
    assert preparation_of({"preparation": "ink"}, (1, 28, 28)) == "ink"
    assert preparation_of({"preparation": "ink"}, (3, 28, 28)) == "fit"
