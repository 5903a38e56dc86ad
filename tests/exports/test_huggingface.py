"""Folders as the Hugging Face hub has them: what is in them, and what broken ones say."""

from __future__ import annotations

import json
import pickle
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from sklearn.datasets import load_digits

import kilonet
from kilonet.errors import CheckpointError, RunError, UsageError
from kilonet.exports.huggingface.folder import exported_card, pretrained_of, shipped_card
from kilonet.exports.huggingface.pretrained import read_pretrained
from kilonet.runs import layout
from kilonet.runs.find import open_run, shipped_models
from kilonet.workflows.runs import Run
from trained import Trained, start_run, trained

FILES = {"config.json", "model.safetensors", "README.md"}


@pytest.fixture(scope="module")
def finished() -> Trained:
    """The shared run; not to be changed."""
    return trained()


@pytest.fixture
def folder(finished: Trained, tmp_path: Path) -> Path:
    return kilonet.save_pretrained(finished.path, tmp_path / "saved")


def metadata(folder: Path) -> Any:
    """Return the card's metadata as the hub's own library reads it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from huggingface_hub import ModelCard
    return ModelCard.load(folder / "README.md").data


def test_it_loads_back(finished: Trained, folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {*FILES, layout.RECIPE}
    ours, theirs = kilonet.load(finished.path), kilonet.load(folder)
    assert not theirs.training
    images = torch.randn(7, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(ours(images), theirs(images))


def test_the_configuration_says_what_it_is(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["model_type"] == "kilonet"
    assert config["architectures"] == ["ConvStack"]
    assert config["model"]["layers"] == "c20k5s2 c32 M c48 M3"
    assert config["input_shape"] == [1, 28, 28]
    assert config["id2label"] == {str(digit): str(digit) for digit in range(10)}
    assert config["image_mean"] == [0.3052]
    assert config["kilonet_version"] == kilonet.__version__
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        assert file.metadata()["format"] == "pt"


@pytest.mark.parametrize("factor", [1.0, 1 / 127.5, 0.5])
def test_another_factor_of_pixels_is_honoured(folder: Path, tmp_path: Path, factor: float) -> None:
    """(pixel·factor − mean) / std is the same for values with another factor."""
    copied = shutil.copytree(folder, tmp_path / "copy")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    ratio = factor / config["rescale_factor"]
    config["rescale_factor"] = factor
    for name in ("image_mean", "image_std"):
        config[name] = [value * ratio for value in config[name]]
    (copied / "config.json").write_text(json.dumps(config), encoding="utf-8")
    found, expected = read_pretrained(copied), read_pretrained(folder)
    assert found.mean == pytest.approx(expected.mean)
    assert found.std == pytest.approx(expected.std)


@pytest.mark.parametrize("factor", [0, -1, float("nan"), float("inf"), "1/255"])
def test_a_factor_that_is_none_is_refused(folder: Path, tmp_path: Path, factor: Any) -> None:
    copied = shutil.copytree(folder, tmp_path / "copy")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["rescale_factor"] = factor
    (copied / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(CheckpointError, match="rescale_factor"):
        read_pretrained(copied)


def test_the_hubs_library_reads_the_metrics(finished: Trained, folder: Path) -> None:
    data = metadata(folder)
    assert (data.library_name, data.pipeline_tag) == ("kilonet", "image-classification")
    assert data.license is None, "whose weights these are is not ours to say"
    accuracy, loss = data.eval_results
    test = open_run(finished.path).metrics()["test"]
    assert (accuracy.metric_type, accuracy.metric_value) == ("accuracy", test["accuracy"])
    assert (loss.metric_type, loss.metric_value) == ("loss", test["loss"])
    assert (accuracy.dataset_type, accuracy.dataset_split) == ("digits", "test")


def test_a_shipped_model_takes_its_seeds_and_its_licence_along(tmp_path: Path) -> None:
    folder = kilonet.save_pretrained("kilonet-8k", tmp_path)
    assert metadata(folder).license == "mit"
    assert "Test accuracy by seed: 0:" in (folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("model", shipped_models(), ids=lambda model: model.name)
def test_the_cards_that_ship_are_from_this_template(model: Any) -> None:
    run = open_run(model.path)
    of = pretrained_of(run, kilonet.load(model.path), model.name)
    assert (model.path / "README.md").read_text(encoding="utf-8") == shipped_card(of, run)
    assert shipped_card(of, run).split("Input:")[0] in exported_card(of, run)


def test_a_classifier_goes_there_and_back(tmp_path: Path) -> None:
    images, labels = load_digits(return_X_y=True)
    levels = np.round(images[:300] * 255 / 16).astype(np.uint8).reshape(-1, 8, 8)
    large = np.kron(levels, np.ones((1, 4, 4), dtype=np.uint8))  # 32×32, not to be enlarged
    names = np.array([f"<digit> {label}" for label in labels[:300]])
    model = kilonet.Classifier("fast-99", batch_size=32).fit(large, names)
    folder = kilonet.save_pretrained(model, tmp_path)
    assert {path.name for path in folder.iterdir()} == FILES
    assert metadata(folder).eval_results is None, "nothing was measured on a test split"
    again = kilonet.Classifier.from_pretrained(folder)
    assert (again.predict(large) == model.predict(large)).all()
    assert np.array_equal(again.predict_proba(large), model.predict_proba(large))
    of = again.pretrained_
    assert pickle.loads(pickle.dumps(of)).config() == of.config()


def test_saving_again_replaces_and_foreign_files_stay(folder: Path, finished: Trained) -> None:
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    assert kilonet.save_pretrained(finished.path, folder) == folder
    assert (folder / "notes.txt").exists()
    (folder / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    with pytest.raises(RunError, match=r"holds a config\.json that save_pretrained did not write"):
        kilonet.save_pretrained(finished.path, folder)
    with pytest.raises(RunError, match=r"holds a README\.md|holds a recipe\.toml"):
        kilonet.save_pretrained(finished.path, finished.path)


def test_what_cannot_be_saved(finished: Trained, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no run"):
        kilonet.save_pretrained("none", tmp_path)
    with pytest.raises(UsageError, match="was given Classifier before fit"):
        kilonet.save_pretrained(kilonet.Classifier(), tmp_path)
    with pytest.raises(RunError, match="has not finished"):
        kilonet.save_pretrained(start_run().path, tmp_path)
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(RunError, match="Cannot write to"):
        kilonet.save_pretrained(finished.path, tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir() if path.name != "runs"] == ["file"]


def change(**keys: Any) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / "config.json"
        content = {**json.loads(path.read_text(encoding="utf-8")), **keys}
        path.write_text(json.dumps(content), encoding="utf-8")

    return damage


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda folder: (folder / "config.json").unlink(), r"config\.json is missing"),
        (lambda folder: (folder / "config.json").write_text("{"), "is damaged: it is not JSON"),
        (lambda folder: (folder / "model.safetensors").unlink(), "There are no weights"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x"), "are damaged"),
        (change(model_type="bert"), "model of type 'bert', not of Kilonet's"),
        (change(kilonet_format=2), "is of format 2; this version .* reads format 1"),
        (change(model={"name": "resnet"}), 'there is no model "resnet"'),
        (change(model={"name": "conv-stack", "layers": "x"}), '"x" is not a layer'),
        (change(model={"name": "conv-stack", "layers": "c8"}), "do not belong to this network"),
        (change(model=[]), "model: input should be a valid dictionary"),
        (change(input_shape=[1, 2, 2]), "an impossible network"),
        (change(input_shape=[1, 28]), "input_shape"),
        (change(image_mean=[0.1, 0.2]), "must have 1 numbers each"),
        (change(image_std=[0.0]), "image_std must be above 0"),
        (change(id2label={"1": "a", "0": "b"}), "the keys of id2label"),
        (change(id2label={}), "id2label"),
        (change(id2label={"0": "a", "1": "b"}), "do not belong to this network"),
    ],
)
def test_broken_and_foreign_folders_say_so(
    folder: Path, damage: Callable[[Path], object], text: str
) -> None:
    damage(folder)
    for read in (kilonet.load, kilonet.Classifier.from_pretrained):
        with pytest.raises(CheckpointError, match=text) as caught:
            read(folder)
        assert str(folder) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_folder_alone_imports_no_code(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "fromafar.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    monkeypatch.chdir(folder)
    change(model={"name": "fromafar:Net"})(folder)
    with pytest.raises(RunError, match="name the class: --model fromafar:Net"):
        kilonet.load(folder)
    with pytest.raises(UsageError, match="is fromafar:Net, not other:Net"):
        kilonet.load(folder, model="other:Net")


def test_a_network_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "flatnet.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self, width=2):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(784, width), nn.Linear(width, 10))\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    words = ("model.name=flatnet:Net", "model.width=3", "training.epochs=1")
    run = kilonet.train("quick", overrides=("data.name=digits", *words), out=tmp_path / "mine")
    found = kilonet.export(run, "huggingface", out=tmp_path, model="flatnet:Net")
    folder = tmp_path / "mine-huggingface"
    assert found.verification is not None
    assert found.verification.largest_logit_difference == 0
    assert kilonet.load(folder, model="flatnet:Net")[1].out_features == 3  # type: ignore[index]


def test_the_export_is_verified(finished: Trained, tmp_path: Path) -> None:
    found = kilonet.export(Run(open_run(finished.path)), "huggingface", out=tmp_path)
    assert found.verification is not None
    assert found.verification.same_labels == found.verification.images == 359
    assert found.verification.largest_logit_difference == 0
    assert {path.name for path in found.files} == {*FILES, layout.RECIPE}
    assert found.report == tmp_path / "quick-1-huggingface.json"
    with pytest.raises(UsageError, match="--int8 is not for --to huggingface"):
        kilonet.export(Run(open_run(finished.path)), "huggingface", int8=True)


def test_the_export_needs_no_onnx_file(finished: Trained, tmp_path: Path) -> None:
    copy = finished.copy(tmp_path / "copy")
    (copy / layout.ONNX).unlink()
    assert kilonet.export(copy, "huggingface").verification is not None


def test_a_run_that_is_a_folder_too_stays_a_run(finished: Trained, tmp_path: Path) -> None:
    copy = finished.copy(tmp_path / "copy")
    shutil.copy(copy / layout.BEST, copy / "model.safetensors")
    assert kilonet.load(copy)
