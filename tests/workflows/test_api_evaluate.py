"""Measuring a run again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import kilonet
from kilonet.data.folder import dataset_spec
from kilonet.errors import UsageError
from kilonet.recipe.schema import Data
from kilonet.workflows import evaluate as module
from kilonet.workflows.load import data_info
from kilonet.workflows.run import Run


def test_it_finds_what_the_run_recorded(finished_run: Run) -> None:
    again = kilonet.evaluate(finished_run, device="cpu")
    assert again == finished_run.test


def test_a_run_of_pixels_as_they_are_is_measured_and_exported_so(tmp_path: Path) -> None:
    words = ["data.name=digits", "data.normalise=false", "training.epochs=1", "training.threads=1"]
    run = kilonet.train("quick", overrides=words, out=tmp_path / "run")
    assert data_info(run).mean == (0.0,)
    assert kilonet.evaluate(run, device="cpu") == run.test
    assert kilonet.evaluate(run, data="digits", device="cpu") == run.test
    verified = kilonet.export(run, "onnx", out=tmp_path / "out").verification
    assert verified is not None and verified.same_labels == verified.images


def test_another_data_set_has_to_be_of_the_same_kind(
    finished_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wide(data: Data) -> object:
        return dataclasses.replace(dataset_spec(data), shape=(3, 32, 32))

    monkeypatch.setattr(module, "dataset_spec", wide)
    with pytest.raises(UsageError, match=r"MNIST has images \(3, 32, 32\), 10 classes"):
        kilonet.evaluate(finished_run, data="mnist")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [({"data": "mnits"}, 'Did you mean "mnist"'), ({"device": "cdua"}, 'Did you mean "cuda"')],
)
def test_unknown_names(finished_run: Run, arguments: dict[str, str], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        kilonet.evaluate(finished_run, **arguments)
