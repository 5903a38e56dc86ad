"""The audit: wrong labels are found, an interruption loses no fold, the files agree."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from kilonet.data.dataset import Dataset, load_dataset
from kilonet.errors import RunError, Stopped, UsageError
from kilonet.workflows import audit as module
from kilonet.workflows.audit import audit

QUICK = ("training.epochs=8", "training.threads=1", "training.kernels=torch")


def mislabelled() -> tuple[Dataset, list[int]]:
    """Return the digits with some training labels changed, and which."""
    digits = load_dataset("digits")
    labels, wrong = digits.train_labels.clone(), list(range(0, 1400, 140))
    labels[wrong] = (labels[wrong] + 5) % 10
    return replace(digits, train_labels=labels), wrong


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    dataset, changed = mislabelled()
    monkeypatch.setattr(module, "load_recipe_data", lambda *_: dataset)
    return changed


def test_changed_labels_come_first_and_an_interruption_loses_nothing(
    wrong: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, calls = module._predict_held_out, []

    def interrupted(*given: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return train(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_predict_held_out", interrupted)
    out = tmp_path / "found"
    with pytest.raises(Stopped, match="Finished folds are kept in"):
        audit("digits", overrides=QUICK, folds=3, out=out)
    found = audit("digits", overrides=QUICK, folds=3, top=12, out=out)
    assert len(calls) == 4  # one fold was done before, none twice
    content = json.loads((out / "audit.json").read_text(encoding="utf-8"))
    assert len(set(wrong) & {row["index"] for row in content["top"]}) >= 8
    assert content["images"] == 1438 and content["folds"] == 3
    assert content["doubtful"] == found.issues.count
    rows = list(csv.DictReader((out / "audit.csv").read_text(encoding="utf-8").splitlines()))
    assert [int(row["index"]) for row in rows] == [row["index"] for row in content["top"]]
    row = next(row for row in content["top"] if row["index"] in wrong)
    assert int(row["given"]) == (int(row["predicted"]) + 5) % 10
    with Image.open(out / "audit.png") as image:
        assert image.width > 500
    assert "1,438 training labels" in found.sentence


def test_refused(wrong: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        module, "_predict_held_out", lambda _, data, held: torch.full((len(held), 10), 0.1).numpy()
    )
    out = tmp_path / "found"
    audit("digits", folds=2, out=out)
    with pytest.raises(UsageError, match="of other data or with another recipe"):
        audit("digits", folds=3, out=out)
    (out / "fold-1.npy").write_bytes(b"damaged")
    with pytest.raises(RunError, match=r"fold-1\.npy is damaged"):
        audit("digits", folds=2, out=out)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine.txt").write_text("x")
    with pytest.raises(UsageError, match="in use already"):
        audit("digits", folds=2, out=tmp_path / "used")
    with pytest.raises(UsageError, match="--top 0"):
        audit("digits", top=0)
    with pytest.raises(UsageError, match="1 folds: expected 2 or more"):
        audit("digits", folds=1, out=tmp_path / "none")
    assert not (tmp_path / "none").exists()
