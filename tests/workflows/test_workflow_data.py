"""Data sets for workflows: a substitute where MNIST is missing, samples, folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kilonet.data.batches import normalise
from kilonet.data.dataset import Dataset, DatasetNotFoundError, load_dataset
from kilonet.errors import DataError, UsageError
from kilonet.recipe.fingerprint import to_toml
from kilonet.recipe.load import resolve
from kilonet.workflows import data
from kilonet.workflows.data import fetch, load_or_fall_back, show_sample


@pytest.fixture
def nothing_but_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str, data_dir: Path | None = None, **options: Any) -> Dataset:
        if name != "digits":
            raise DatasetNotFoundError(f"{name} is nowhere")
        return load_dataset(name)

    monkeypatch.setattr(data, "load_dataset", load)


def test_what_is_at_hand_is_used() -> None:
    resolved = resolve("quick", ["data.name=digits"])
    again, dataset, note = load_or_fall_back(resolved, None, None)
    assert (again, dataset.name, note) == (resolved, "digits", None)


def test_pixels_go_from_0_to_1_where_the_recipe_says() -> None:
    usual = load_or_fall_back(resolve("quick", ["data.name=digits"]), None, None)[1]
    words = ["data.name=digits", "data.normalise=false"]
    bare = load_or_fall_back(resolve("quick", words), None, None)[1]
    assert (bare.mean, bare.std) == ((0.0,), (1.0,)) != (usual.mean, usual.std)
    assert bare.train_images.equal(usual.train_images)
    pixels = normalise(bare.train_images, bare.mean, bare.std)
    assert (float(pixels.min()), float(pixels.max())) == (0, 1)


@pytest.mark.usefixtures("nothing_but_digits")
def test_digits_stand_in_where_the_user_named_nothing() -> None:
    resolved, dataset, note = load_or_fall_back(resolve("quick"), None, None)
    assert dataset.name == resolved.recipe.data.name == "digits"
    assert resolved.recipe.training == resolve("quick").recipe.training
    assert note is not None
    assert note.startswith("MNIST could not be found or downloaded, so this run uses Optical")
    assert "KILONET_DATA" in note


@pytest.mark.usefixtures("nothing_but_digits")
def test_what_the_user_named_fails() -> None:
    with pytest.raises(DatasetNotFoundError):
        load_or_fall_back(resolve("quick", ["data.name=mnist"]), None, None)


@pytest.mark.usefixtures("nothing_but_digits")
def test_a_file_of_ones_own_counts_by_whether_it_names_the_data(tmp_path: Path) -> None:
    text = '[model]\nname="simple"\n[optimizer]\nname="sgd"\n[training]\nepochs=1\n'
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    assert load_or_fall_back(resolve(path), None, None)[1].name == "digits"
    path.write_text(text + '[data]\nname="mnist"\n', encoding="utf-8")
    with pytest.raises(DatasetNotFoundError):
        load_or_fall_back(resolve(path), None, None)


def test_damaged_data_is_no_reason_for_a_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(*_: Any, **__: Any) -> Dataset:
        raise DataError("damaged")

    monkeypatch.setattr(data, "load_dataset", damaged)
    with pytest.raises(DataError, match="damaged"):
        load_or_fall_back(resolve("quick"), None, None)


def test_a_sample_with_and_without_augmentation(tmp_path: Path) -> None:
    plain = show_sample("digits", tmp_path / "plain.png")
    changed = show_sample("digits", str(tmp_path / "changed.png"), recipe="stacked-1x1")
    with Image.open(plain) as without, Image.open(changed) as with_rows:
        assert without.format == "PNG"
        assert with_rows.height > without.height


def test_sample_has_the_drawn_digits_of_a_recipe(tmp_path: Path) -> None:
    same = tmp_path / "same.toml"
    same.write_text(to_toml(resolve("quick").recipe), encoding="utf-8")
    drawn = tmp_path / "drawn.toml"
    text = same.read_text(encoding="utf-8").replace("handwriting = 0.0", "handwriting = 0.5")
    drawn.write_text(text, encoding="utf-8")
    shown = [
        show_sample("digits", tmp_path / f"{recipe.stem}.png", recipe=str(recipe)).read_bytes()
        for recipe in (same, drawn)
    ]
    assert shown[0] != shown[1]


def test_refused(tmp_path: Path) -> None:
    target = tmp_path / "x.png"
    with pytest.raises(UsageError, match="There is no data set"):
        show_sample("nope", target)
    with pytest.raises(UsageError, match="There is no recipe"):
        show_sample("digits", target, recipe="nope")
    assert not target.exists()
    with pytest.raises(UsageError, match=r"Cannot write .* --out"):
        show_sample("digits", tmp_path / "no" / "where.png")


def test_fetch_returns_what_is_at_hand() -> None:
    assert fetch("digits").source == "scikit-learn"
