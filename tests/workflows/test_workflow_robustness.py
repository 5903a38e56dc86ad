"""Robustness of a run: which images, where it is stored, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import kilonet
from kilonet.data.dataset import load_dataset
from kilonet.data.split import stratified_split
from kilonet.errors import RunError, UsageError
from kilonet.evaluation.distortions import Distortion, inverted, noisy
from kilonet.runs import find
from kilonet.workflows import robustness as module
from kilonet.workflows.runs import Run
from trained import Trained, start_run

FILES = {"robustness.json", "robustness.png"}


@pytest.fixture(autouse=True)
def _two_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure on a small grid: the whole one has its own tests."""
    small = [Distortion("inversion", "", (1,), inverted), Distortion("noise", "", (50,), noisy)]
    measured = module.measure_robustness
    monkeypatch.setattr(
        module, "measure_robustness", lambda *a, **k: measured(*a, distortions=small, **k)
    )


def test_stores_what_it_returns(finished_run: Run, tmp_path: Path) -> None:
    found = kilonet.robustness(finished_run, images=50, out=tmp_path / "new" / "folder")
    assert {path.name for path in found.files} == FILES
    assert all(path.parent == tmp_path / "new" / "folder" for path in found.files)
    content = json.loads(found.files[0].read_text(encoding="utf-8"))
    assert content == json.loads(json.dumps(found.to_json()))
    assert (content["model"], content["dataset"], content["part"]) == ("quick-1", "digits", "test")
    assert (content["images"], content["available"]) == (50, 359)
    assert content["environment"]["device"] in ("cpu", "cuda", "cuda:0", "mps")
    assert content["fingerprint"] == finished_run.directory.facts["fingerprint"]
    assert {"kilonet", "commit", "numpy", "scipy", "pillow"} <= content["environment"].keys()


def test_undistorted_it_is_the_accuracy_that_the_run_recorded(
    finished_run: Run, tmp_path: Path
) -> None:
    found = kilonet.robustness(finished_run, out=tmp_path, device="cpu").result
    assert found.images == 359
    assert found.undistorted.alone == finished_run.test.correct


def test_it_is_stored_with_the_run_and_repeats(finished: Trained, tmp_path: Path) -> None:
    path = finished.copy(tmp_path / "copy")
    first = kilonet.robustness(path, images=40)
    assert {file.name for file in path.glob("robustness*")} == FILES
    before = {file: file.read_bytes() for file in first.files}
    kilonet.robustness(path, images=40)
    assert {file: file.read_bytes() for file in first.files} == before
    held_back = kilonet.robustness(path, images=40, validation=True)
    assert [file.name for file in held_back.files] == [
        "robustness-validation.json",
        "robustness-validation.png",
    ]


def test_validation_images_are_those_the_run_held_back(finished_run: Run) -> None:
    dataset = load_dataset("digits")
    _, held_back = stratified_split(dataset.train_labels, 1 / 12, finished_run.recipe.training.seed)
    images, labels = module._images_of(dataset, finished_run, validation=True)
    assert torch.equal(images, dataset.train_images[held_back])
    assert torch.equal(labels, dataset.train_labels[held_back])


def test_the_choice_is_stratified_and_always_the_same() -> None:
    labels = torch.arange(1000) % 10
    chosen = module._choose(labels, 200, "test")
    assert np.bincount(labels[chosen]).tolist() == [20] * 10
    assert torch.equal(module._choose(labels, 200, "test"), chosen)
    assert torch.equal(module._choose(labels, None, "test"), torch.arange(1000))
    assert len(module._choose(torch.arange(5000) % 10, None, "test")) == module.DEFAULT_IMAGES


def test_nothing_is_written_into_the_package(
    finished: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find, "SHIPPED_FOLDER", tmp_path / "pretrained")
    path = finished.copy(tmp_path / "pretrained" / "tiny")
    before = sorted(path.iterdir())
    found = kilonet.robustness(path, images=20)
    assert found.files == () and sorted(path.iterdir()) == before
    assert len(kilonet.robustness(path, images=20, out=tmp_path / "mine").files) == 2


@pytest.mark.parametrize("images", [-1, 0, 1, 360])
def test_too_many_or_too_few(finished_run: Run, images: int) -> None:
    with pytest.raises(UsageError, match=f"--images {images}: there are 359 test images"):
        kilonet.robustness(finished_run, images=images)


def test_a_folder_that_cannot_be_made(
    finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(module, "data_for", None)  # refused before there is anything to do
    with pytest.raises(RunError, match=r"Cannot write to .*file.*--out"):
        kilonet.robustness(finished_run, images=20, out=tmp_path / "file")


def test_writing_that_fails(
    finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_json", full)
    with pytest.raises(RunError, match=r"Cannot write to .*No space left"):
        kilonet.robustness(finished_run, images=20, out=tmp_path)


def test_refused() -> None:
    with pytest.raises(RunError, match="has not finished"):
        kilonet.robustness(start_run().path)
    whole = Run(start_run("data.validation=0", "training.keep=last"))
    with pytest.raises(UsageError, match="held no validation images back"):
        module._images_of(load_dataset("digits"), whole, validation=True)
