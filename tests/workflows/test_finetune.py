"""Fine-tuning: from a run, a shipped model or a folder, on the same classes or on others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import kilonet
from kilonet.data.dataset import load_dataset
from kilonet.errors import CheckpointError, KilonetError, RecipeError, RunError, UsageError
from kilonet.exports.huggingface.folder import exported_card, pretrained_of
from kilonet.runs import layout
from kilonet.runs.changelog import change_log
from kilonet.training.checkpoints import weights_of
from kilonet.training.transfer import head_of
from kilonet.workflows.runs import Run
from trained import start_run

WORDS: dict[str, Any] = {"epochs": 1, "threads": 1, "kernels": "torch"}


@pytest.fixture(scope="module")
def some_digits() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Two hundred small digits."""
    digits = load_dataset("digits")
    return digits.train_images[:200].numpy(), digits.train_labels[:200].numpy()


def test_a_run_goes_on_from_a_shipped_model(without_report: None) -> None:
    before = kilonet.evaluate("kilonet-2k", data="digits").accuracy
    run = kilonet.train(weights="kilonet-2k", data="digits", **WORDS)
    scratch = kilonet.train(
        "kilonet-2k", data="digits", overrides=["training.teachers=[]"], **WORDS
    )
    assert run.test.accuracy > max(before, scratch.test.accuracy)
    recipe = run.recipe
    assert run.name == "kilonet-2k-tuned-1"
    assert (recipe.training.weights, recipe.training.teachers) == ("kilonet-2k", [])
    shipped = kilonet.list_runs(Path(kilonet.__file__).parent / "pretrained")
    own = next(each for each in shipped if each.name == "kilonet-2k")
    assert recipe.optimizer.lr == pytest.approx(own.recipe.optimizer.lr / 10)
    assert run.data_info.mean == own.data_info.mean
    entries, _ = change_log([scratch.directory, run.directory])
    assert entries[1].network.endswith("from kilonet-2k")
    assert any("weights off → kilonet-2k" in line for line in entries[1].summary())
    card = exported_card(pretrained_of(run.directory, kilonet.load(run)), run.directory)
    assert "fine-tuned from the weights of kilonet-2k" in card
    assert kilonet.evaluate(run) == run.test


def test_other_classes_get_a_new_head_and_features_stay(
    without_report: None, some_digits: Any
) -> None:
    images, labels = some_digits
    data = (images, np.where(labels < 5, "low", "high"))
    run = kilonet.train(weights="kilonet-2k", freeze="features", data=data, lr=0.02, **WORDS)
    network, shipped = kilonet.load(run), kilonet.load("kilonet-2k")
    head, old = head_of(network), weights_of(shipped)
    kept = [name for name in weights_of(network) if name not in head]
    assert kept
    assert all(torch.equal(weights_of(network)[name], old[name]) for name in kept)
    assert run.data_info.classes == ("high", "low")
    assert run.directory.facts[layout.LOADED_KEY] == sorted(kept)


def test_the_report_says_what_it_started_from(finished_run: Run, tmp_path: Path) -> None:
    run = kilonet.train("quick", weights=str(finished_run.path), data="digits", **WORDS)
    assert run.recipe.training.weights == str(finished_run.path)
    page = run.report.read_text(encoding="utf-8")
    assert f"fine-tuned from the weights of <code>{finished_run.path}</code>" in page
    assert "fine-tuned" not in finished_run.report.read_text(encoding="utf-8")


def test_resuming_gives_the_same_bits(
    finished_run: Run, without_report: None, tmp_path: Path
) -> None:
    words = {"weights": str(finished_run.path), "data": "digits", "weights_rate": 0.5}
    run = kilonet.train("quick", freeze="features", **words, **WORDS)  # type: ignore[arg-type]
    before = (run.path / layout.LAST).read_bytes()
    (run.path / layout.STATE).unlink()
    run.directory.update_facts(finished=False)
    kilonet.resume(run.path)
    assert (run.path / layout.LAST).read_bytes() == before


def test_an_estimator_goes_on(some_digits: Any) -> None:
    images, labels = some_digits
    names = labels.astype(str)
    reader = kilonet.Classifier.from_pretrained("kilonet-2k")
    before = reader.score(images[100:], names[100:])
    again = reader.set_params(epochs=1, threads=1).fit(images[:100], names[:100])
    assert again is reader
    assert reader.score(images[100:], names[100:]) >= before > 0.3
    scratch = kilonet.Classifier("quick", epochs=1, threads=1).fit(images[:100], names[:100])
    assert reader.score(images[100:], names[100:]) > scratch.score(images[100:], names[100:])


def test_a_folder_of_weights(some_digits: Any, tmp_path: Path) -> None:
    images, labels = some_digits
    fitted = kilonet.Classifier("quick", epochs=1, threads=1).fit(images, labels)
    folder = kilonet.save_pretrained(fitted, tmp_path / "saved")
    again = kilonet.Classifier(weights=folder, epochs=1, threads=1, lr=1e-6)
    probabilities = again.fit(images, labels).predict_proba(images)
    assert np.allclose(probabilities, fitted.predict_proba(images), atol=0.05)


@pytest.mark.parametrize(
    ("keywords", "error", "text"),
    [
        ({"weights": "absent"}, UsageError, 'no run "absent"'),
        ({"recipe": "quick", "weights": "kilonet-2k"}, RecipeError, "train --from kilonet-2k"),
        ({"weights": "kilonet-2k", "freeze": "laier"}, RecipeError, 'no layer is called "laier"'),
        ({"weights": "kilonet-2k", "data": "cifar10"}, UsageError, "takes images of 1×28×28"),
        ({"weights": "kilonet-2k", "weights_rate": 0}, RecipeError, "weights_rate"),
        ({"recipe": "quick", "weights_rate": 0.5}, RecipeError, "weights_rate.*training.weights"),
        ({"recipe": "quick", "freeze": "*"}, RecipeError, "no parameters that training may change"),
    ],
)
def test_refused(
    keywords: dict[str, Any], error: type[KilonetError], text: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=text):
        kilonet.train(**({"data": "digits"} | keywords))
    assert not (tmp_path / "runs").exists()


def test_unfinished_and_damaged_weights(finished_run: Run, tmp_path: Path) -> None:
    start_run(path=tmp_path / "begun")
    with pytest.raises(RunError, match="has not finished"):
        kilonet.train("quick", weights=str(tmp_path / "begun"))
    reader = kilonet.Classifier.from_pretrained(finished_run)
    folder = kilonet.save_pretrained(reader, tmp_path / "saved")
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="are damaged"):
        kilonet.train("quick", weights=str(folder), data="digits")


def test_code_of_a_stranger_does_not_run(own_network: Path, without_report: None) -> None:
    run = kilonet.train(own_network)
    with pytest.raises(RunError, match="If you trust it, name the class"):
        kilonet.train(weights=run.name)
    again = kilonet.train(weights=run.name, model="tinynet:Net", epochs=1)
    assert again.recipe.model == run.recipe.model
