"""Measuring a run again."""

from __future__ import annotations

import dataclasses

import pytest

import kilonet
from kilonet.api import evaluate as module
from kilonet.api.run import Run
from kilonet.data.describe import spec_of
from kilonet.errors import UsageError
from kilonet.recipe.schema import Data


def test_it_finds_what_the_run_recorded(finished_run: Run) -> None:
    again = kilonet.evaluate(finished_run, device="cpu")
    assert again == finished_run.test


def test_another_data_set_has_to_be_of_the_same_kind(
    finished_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wide(data: Data) -> object:
        return dataclasses.replace(spec_of(data), shape=(3, 32, 32))

    monkeypatch.setattr(module, "spec_of", wide)
    with pytest.raises(UsageError, match=r"MNIST has images \(3, 32, 32\), 10 classes"):
        kilonet.evaluate(finished_run, data="mnist")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [({"data": "mnits"}, 'Did you mean "mnist"'), ({"device": "cdua"}, 'Did you mean "cuda"')],
)
def test_unknown_names(finished_run: Run, arguments: dict[str, str], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        kilonet.evaluate(finished_run, **arguments)
