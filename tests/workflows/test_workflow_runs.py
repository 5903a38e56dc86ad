"""Runs as Python sees them, and their networks."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import kilonet
from kilonet.data.dataset import load_dataset
from kilonet.errors import CheckpointError, RunError, UsageError
from kilonet.recipe.load import resolve
from kilonet.runs import layout
from kilonet.workflows.runs import Run, find_run, network_for
from trained import Trained, finish_run, start_run


def test_a_finished_run(finished_run: Run) -> None:
    assert finished_run.finished
    assert finished_run.name == "quick-1"
    assert [row["epoch"] for row in finished_run.history] == [1, 2]
    assert finished_run.recipe.optimizer.lr == 0.02
    assert finished_run.test.total == 359
    assert finished_run.report == finished_run.path / "report.html"


def test_an_unfinished_run_says_how_to_go_on() -> None:
    run = Run(start_run())
    assert not run.finished
    assert run.history == []
    with pytest.raises(RunError, match=f"kilonet train --resume {run.path}"):
        _ = run.test


def test_damaged_metrics(finished: Trained, tmp_path: Path) -> None:
    path = finished.copy(tmp_path / "copy")
    (path / layout.METRICS).write_text('{"test": {}}', encoding="utf-8")
    with pytest.raises(RunError, match=r"metrics\.json is damaged"):
        _ = find_run(path).test


def test_runs_are_found_by_name_path_and_themselves() -> None:
    run = Run(finish_run(start_run()))
    assert find_run("quick-1") == find_run(run.path) == find_run(run) == run
    assert find_run(run) is run
    with pytest.raises(UsageError, match="There is no run"):
        find_run("other")


def test_all_runs_of_a_folder(tmp_path: Path) -> None:
    start_run()
    finish_run(start_run())
    start_run(path=tmp_path / "elsewhere" / "mine")
    assert [run.name for run in kilonet.list_runs()] == ["quick-1", "quick-2"]
    assert [run.name for run in kilonet.list_runs(str(tmp_path / "elsewhere"))] == ["mine"]
    assert kilonet.list_runs(tmp_path / "nope") == []


def test_it_is_the_network_that_was_measured(finished_run: Run) -> None:
    model = kilonet.load(finished_run)
    assert not model.training
    digits = load_dataset("digits")
    mean, std = digits.mean[0], digits.std[0]
    with torch.no_grad():
        logits = model((digits.test_images.float() / 255 - mean) / std)
    correct = int((logits.argmax(dim=1) == digits.test_labels).sum())
    assert correct == finished_run.test.correct
    truth = digits.test_labels.numpy()
    losses = -logits.double().log_softmax(dim=1).numpy()[np.arange(len(truth)), truth]
    assert finished_run.test.loss == pytest.approx(losses.mean(), rel=1e-5)


def test_by_path_and_by_name(finished: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = load_file(finished.path / layout.BEST)
    monkeypatch.setenv("KILONET_RUNS", str(finished.path.parent))
    for source in (finished.path, str(finished.path), "quick-1"):
        loaded = kilonet.load(source).state_dict()
        assert loaded.keys() == weights.keys()
        assert all(torch.equal(loaded[name], weights[name]) for name in weights)


def test_the_last_weights_where_the_recipe_keeps_those(finished: Trained, tmp_path: Path) -> None:
    path = finished.copy(tmp_path / "copy")
    recipe = path / layout.RECIPE
    text = recipe.read_text(encoding="utf-8").replace('keep = "best"', 'keep = "last"')
    recipe.write_text(text, encoding="utf-8")
    weights = {name: value + 1 for name, value in load_file(path / layout.BEST).items()}
    save_file(weights, path / layout.LAST)
    assert torch.equal(
        kilonet.load(path).state_dict()["head.classifier.bias"], weights["head.classifier.bias"]
    )


@pytest.mark.parametrize(
    ("content", "text"),
    [(None, "There are no weights"), (b"", "are damaged"), (b"\xff" * 100, "are damaged")],
)
def test_damaged_weights(
    finished: Trained, tmp_path: Path, content: bytes | None, text: str
) -> None:
    path = finished.copy(tmp_path / "copy") / layout.BEST
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(CheckpointError, match=text) as caught:
        kilonet.load(path.parent)
    assert str(path) in str(caught.value)


def test_truncated_weights(finished: Trained, tmp_path: Path) -> None:
    path = finished.copy(tmp_path / "copy") / layout.BEST
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="are damaged"):
        kilonet.load(path.parent)


def test_weights_of_another_network(finished: Trained, tmp_path: Path) -> None:
    path = finished.copy(tmp_path / "copy")
    save_file({"a": torch.zeros(1)}, path / layout.BEST)
    with pytest.raises(CheckpointError, match="do not belong to this network"):
        kilonet.load(path)


def test_an_unfinished_run() -> None:
    with pytest.raises(RunError, match="has not finished"):
        kilonet.load(start_run().path)


def test_a_folder_alone_imports_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fromafar.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    run = finish_run(start_run("model.name=fromafar:Net"))
    for read in (kilonet.load, kilonet.evaluate, kilonet.summary):
        with pytest.raises(RunError, match="--model fromafar:Net"):
            read(run.path)
    for read in (kilonet.load, kilonet.evaluate, kilonet.summary):
        with pytest.raises(UsageError, match="is fromafar:Net, not other:Net"):
            read(run.path, model="other:Net")
    assert "fromafar" not in sys.modules


def test_a_class_is_named_for_a_run_that_has_none(finished_run: Run) -> None:
    with pytest.raises(UsageError, match=r"is conv-stack, not a:B\. Leave out --model"):
        kilonet.load(finished_run, model="a:B")


def test_networks_fit_their_data_set() -> None:
    assert network_for(resolve("quick", ["data.name=fashion-mnist"]).recipe)
    with pytest.raises(UsageError, match='Did you mean "mnist"'):
        network_for(resolve("quick", ["data.name=mnits"]).recipe)
