"""``kilonet train``."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import Command

from kilonet.cli.common import split_words
from kilonet.data.dataset import load_dataset
from kilonet.errors import UsageError
from kilonet.recipe.catalog import DEFAULT_RECIPE
from kilonet.recipe.load import resolve
from kilonet.runs import layout
from kilonet.runs.find import open_run
from kilonet.training.checkpoints import save_state
from kilonet.workflows import train as api
from kilonet.workflows.runs import Run, find_run
from trained import Trained, start_run


def test_the_files_of_a_run(finished: Trained) -> None:
    """One run from the command line, with all its files."""
    assert (finished.status, finished.stderr) == (0, "")
    assert {path.name for path in finished.path.iterdir()} == {
        ".lock",
        "best.safetensors",
        "confusion_matrix.png",
        "history.csv",
        "last.safetensors",
        "metrics.json",
        "mistakes.png",
        "model.onnx",
        "recipe.toml",
        "report.html",
        "run.json",
        "state.safetensors",
        "summary.txt",
        "training_metrics.png",
    }
    run = open_run(finished.path)
    assert run.finished
    assert run.facts["recipe"] == "quick"
    assert run.facts["data_note"] is None
    environment = run.facts["environment"]
    assert {"kilonet", "python", "torch", "numpy", "commit", "processor", "cores"} <= {*environment}
    assert (environment["device"], environment["threads"]) == ("cpu", "1")
    assert (environment["kernels"] == "compiled") == (run.facts["kernels_note"] is None)
    words = ["data.name=digits", "training.epochs=2", "training.threads=1", "optimizer.lr=0.02"]
    words.append(f"training.kernels={environment['kernels']}")
    assert run.recipe() == resolve("quick", words).recipe
    rows = run.history()
    assert [row["epoch"] for row in rows] == [1, 2]
    assert rows[1]["train_accuracy"] > rows[0]["train_accuracy"]
    metrics = run.metrics()
    assert metrics["parameters"] == 22_214
    assert metrics["dataset"] == "digits"
    assert metrics["test"]["total"] == len(load_dataset("digits").test_labels)
    assert metrics["test"]["accuracy"] > 0.7
    assert (finished.path / "summary.txt").read_text(encoding="utf-8").startswith("quick-1\n")
    report = (finished.path / "report.html").read_text(encoding="utf-8")
    assert f"{metrics['test']['accuracy']:.2%}" in report
    assert "22,214" in report


@pytest.mark.compiler
def test_the_output_of_a_training(finished: Trained) -> None:
    lines = finished.stdout.splitlines()
    assert lines[0] == (
        "quick: 22,214 parameters on Optical digits (scikit-learn), cpu with 1 thread and "
        f"compiled kernels; run {finished.path}"
    )
    assert [line.split("  |  ")[0] for line in lines[1:3]] == ["epoch 1/2", "epoch 2/2"]
    assert all("validation loss" in line and "images/s" in line for line in lines[1:3])
    assert "of 359 test images correct (95 % interval " in lines[4]
    assert lines[4].endswith("data set digits")
    assert lines[5:] == [
        "✓ at most 25,000 parameters: 22,214",
        "✓ at most 19 epochs: 2",
        f"✗ test accuracy at least 99.00%: {lines[4].split()[0]}",
        "✓ batch norm used: present",
        f"Report: {finished.path / 'report.html'}",
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], (DEFAULT_RECIPE, [])),
        (["gap-14k"], ("gap-14k", [])),
        (["a.b=1"], (DEFAULT_RECIPE, ["a.b=1"])),
        (["a.b=1", "mine.toml", "c.d=2"], ("mine.toml", ["a.b=1", "c.d=2"])),
    ],
)
def test_split_words(words: list[str], expected: tuple[str, list[str]]) -> None:
    assert split_words(words) == expected


def test_one_recipe_at_a_time() -> None:
    with pytest.raises(UsageError, match='got "a" and "b"'):
        split_words(["a", "x=1", "b"])


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["quikc"], 2, 'There is no recipe "quikc". Did you mean "quick"?'),
        (["quick", "modle.name=x"], 2, 'unknown key "modle". Did you mean "model"?'),
        (["quick", "model.name=conv-stak"], 2, 'Did you mean "conv-stack"?'),
        (["quick", "training.device=cdua"], 2, 'There is no device "cdua". Did you mean "cuda"?'),
        (["quick", "training.device=cuda:99"], 2, "CUDA devices here"),
        (["quick", "data.name=mnits"], 2, 'There is no data set "mnits". Did you mean "mnist"?'),
        (["quick", "training.epochs=ten"], 2, "[training] epochs: must be a whole number"),
        (["quick", "training.epochs=20"], 2, "over constraints.max_epochs = 19"),
        (["quick", "training.epochs=off"], 2, "[training] epochs cannot be off"),
        (["quick", "model.layers=off"], 2, "[model] layers cannot be off"),
        (["quick", "constraints.max_parameters=100"], 2, "22,114 over constraints.max_parameters"),
        (["quick", "model.name=nowhere:Net"], 2, 'No module "nowhere"'),
        (["quick", "gap-14k"], 2, "One recipe at a time"),
        (["quick", "--out", "used"], 1, "used is in use already"),
        (["quick", "--out", "file"], 1, "file is in use already"),
        (["quick", "--out", "file/x", "data.name=digits"], 1, "Not a directory"),
        (["quick", "--data-dir", "nowhere"], 2, "Invalid value for '--data-dir'"),
        (["quick", "--model", "a:B"], 2, "--model belongs to --resume"),
        (["--resume", "nothing"], 2, 'There is no run "nothing" here or in'),
        (["--resume", "used", "optimizer.lr=1"], 2, '"optimizer.lr=1" would change it'),
        (["--resume", "used", "--out", "x"], 2, '"--out x" would change it'),
        (["quick", "--workers", "2"], 2, "No such option: --workers"),
        (["quick", "training.workers=2"], 2, "torchrun --nproc-per-node N -m kilonet train"),
        (["quick", "training.precision=fp16"], 2, "training] precision: "),
    ],
)
def test_refused(
    refused: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    status: int,
    text: str,
) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "something").write_text("", encoding="utf-8")
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert text in refused("train", *arguments, status=status)
    assert sorted(tmp_path.rglob("*")) == before


def test_overrides_and_profile_reach_the_training(
    kilonet: Command, finished: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def train(name: str, **keywords: Any) -> Run:
        asked.append({"name": name, **keywords})
        return find_run(finished.path)

    monkeypatch.setattr(api, "train", train)
    kilonet("train", "quick", "optimizer.lr=0.1", "--profile")
    kilonet("train")
    assert [(call["name"], call["overrides"], call["profile"]) for call in asked] == [
        ("quick", ["optimizer.lr=0.1"], True),
        (DEFAULT_RECIPE, [], False),
    ]


def test_ctrl_c_names_the_run(
    kilonet: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def save(path: Path, state: dict[str, Any]) -> None:
        save_state(path, state)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(api, "save_state", save)
    result = kilonet("train", "quick", "data.name=digits", "training.threads=1")
    path = tmp_path / "runs" / "quick-1"
    assert result.status == 130
    assert result.err == (
        f"Error: Stopped. Completed epochs are kept. Resume with: kilonet train --resume {path}\n"
    )
    assert not open_run(path).finished


def test_resuming_a_finished_run_says_so(kilonet: Command, finished_here: str) -> None:
    result = kilonet("train", "--resume", finished_here)
    assert (result.status, result.err) == (0, "")
    assert "quick-1 has finished already: nothing is left to train.\n" in result.out
    assert result.out.endswith("report.html\n")


@pytest.mark.parametrize("name", [layout.RECIPE, layout.STATE, layout.RUN])
def test_damaged_files_end_in_status_1(
    refused: Callable[..., str], finished: Trained, tmp_path: Path, name: str
) -> None:
    path = finished.copy(tmp_path / "[copy]")
    facts = json.loads((path / layout.RUN).read_text(encoding="utf-8"))
    text = json.dumps({**facts, "finished": False})
    (path / layout.RUN).write_text(text, encoding="utf-8")
    (path / name).write_text("]", encoding="utf-8")
    message = refused("train", "--resume", path, status=1)
    assert str(path / name) in message
    assert "damaged" in message


def test_a_run_of_another_format(refused: Callable[..., str]) -> None:
    run = start_run()
    run.write_json(layout.RUN, {**run.facts, "format": 2})
    message = refused("train", "--resume", run.path, status=1)
    assert "is a run of format 2; this version of Kilonet reads format 1" in message


def test_a_run_directory_imports_no_code(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fromafar.py").write_text("raise SystemExit(3)", encoding="utf-8")
    run = start_run("model.name=fromafar:Net")
    message = refused("train", "--resume", run.path, status=1)
    assert "whose code Kilonet does not run because of a folder alone" in message
    assert message.endswith("--model fromafar:Net")
    assert "fromafar" not in sys.modules


def test_a_learning_rate_is_found(kilonet: Command, tmp_path: Path) -> None:
    picture = tmp_path / "lr.png"
    words = ("data.name=digits", "training.threads=1", "optimizer.name=sgd", "--steps", "60")
    result = kilonet("lr-find", "quick", *words, "--out", picture)
    assert result.status == 0
    rate = float(result.out.partition("rate of ")[2].split()[0])
    assert 1e-4 < rate < 5  # plain SGD with batch norm learns somewhere between
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_lr_find_refuses_wrong_rates_and_steps(refused: Callable[..., str]) -> None:
    assert "The rates must rise" in refused("lr-find", "quick", "--low", "1", "--high", "0.1")
    assert "--steps must be from 20" in refused("lr-find", "quick", "--steps", "3")
