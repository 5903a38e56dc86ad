"""Training from Python: from a recipe to a finished run, and everything that can stop it."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file, save_file

import kilonet
from kilonet.cli.reporter import ConsoleReporter
from kilonet.errors import (
    CheckpointError,
    KilonetError,
    RecipeError,
    RunError,
    TrainingError,
    UsageError,
)
from kilonet.progress import PrintReporter
from kilonet.runs import layout
from kilonet.training.checkpoints import State, save_state
from kilonet.workflows import data, finish, session, train
from kilonet.workflows.train import Interrupted
from trained import WORDS, Trained, start_run

FILES = {
    layout.RUN,
    layout.RECIPE,
    layout.HISTORY,
    layout.STATE,
    layout.BEST,
    layout.LAST,
    layout.ONNX,
    layout.METRICS,
    layout.SUMMARY,
    layout.REPORT_HTML,
    layout.LOCK,
    "training_metrics.png",
    "confusion_matrix.png",
    "mistakes.png",
}


def runs_made(tmp_path: Path) -> list[str]:
    folder = tmp_path / "runs"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_network_of_ones_own_from_start_to_end(own_network: Path, tmp_path: Path) -> None:
    """The README's example, with keywords and a class of the user's."""
    run = kilonet.train(own_network, epochs=2, lr=0.02)
    assert run.name == "tiny-1"
    assert {path.name for path in run.path.iterdir()} == FILES | {layout.SOURCE}
    assert [row["epoch"] for row in run.history] == [1, 2]
    assert run.recipe.optimizer.lr == 0.02
    assert run.test.total == 359
    assert run.test.accuracy > 0.3
    model = kilonet.load(run, model="tinynet:Net")
    assert sum(value.numel() for value in model.parameters()) == 1168
    assert kilonet.evaluate(run, model="tinynet:Net") == run.test
    facts = json.loads((run.path / layout.RUN).read_text(encoding="utf-8"))
    assert facts["parameters"] == 1168
    assert facts["onnx_note"] is None
    assert facts["environment"]["threads"] == "1"


def test_nothing_is_printed_without_a_console(
    own_network: Path, without_report: None, capfd: pytest.CaptureFixture[str]
) -> None:
    kilonet.train(own_network)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("words", "error", "text"),
    [
        (["constraints.max_parameters=22213"], RecipeError, "1 over constraints.max_parameters"),
        (["training.epochs=0"], RecipeError, "must be at least 1"),
        (["training.device=cdua"], UsageError, 'Did you mean "cuda"'),
        (["data.name=mnits"], UsageError, 'Did you mean "mnist"'),
        (["model.layers=c8 M M M M M"], RecipeError, "reduces a 28×28 image to size 0"),
        (["model.name=nowhere:Net"], RecipeError, 'No module "nowhere"'),
        (["model.name=two-conv", "model.hidden=100000"], RecipeError, "must be at most 99,999"),
        (["model.layers=c99999 c99999"], RecipeError, "cannot be built"),
    ],
)
def test_a_recipe_is_refused_before_data_is_looked_for(
    words: list[str],
    error: type[KilonetError],
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def reached(*_: Any, **__: Any) -> None:
        pytest.fail("data was looked for")

    monkeypatch.setattr(data, "load_dataset", reached)
    with pytest.raises(error) as caught:
        kilonet.train("quick", overrides=words)
    assert text in str(caught.value)
    assert caught.value.exit_code == 2
    assert runs_made(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["data.validation=0.9999"], "neither may be 0"),
        (["augmentation.crop=40"], "the images are 28×28"),
        (["schedule.warmup=0.5", "training.batch_size=2000", "training.epochs=1"], "warmup"),
    ],
)
def test_a_recipe_that_the_data_does_not_suit_is_refused_before_there_is_a_run(
    words: list[str], text: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        kilonet.train("quick", overrides=["data.name=digits", *words])
    assert text in str(caught.value)
    assert runs_made(tmp_path) == []


def test_a_used_directory_is_refused_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = start_run(path=tmp_path / "mine")
    monkeypatch.setattr(session, "load_or_fall_back", lambda *_: pytest.fail("data was looked for"))
    with pytest.raises(RunError, match=f"--resume {run.path}"):
        kilonet.train("quick", out=str(run.path))


def test_a_network_without_parameters(own_network: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def forward(self, x):\n"
        "        return x.flatten(1)[:, :10]\n",
        encoding="utf-8",
    )
    with pytest.raises(RecipeError, match="no parameters"):
        kilonet.train(own_network, overrides=["model.name=empty:Net"])
    assert runs_made(tmp_path) == []


def interrupting(monkeypatch: pytest.MonkeyPatch, epoch: int) -> None:
    """Press Ctrl-C when the state of ``epoch`` has been written."""

    def save(path: Path, state: State) -> None:
        save_state(path, state)
        if len(state["history"]) == epoch:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(train, "save_state", save)


def test_a_run_that_was_interrupted_ends_in_the_same_bits(
    finished: Trained, monkeypatch: pytest.MonkeyPatch, without_report: None
) -> None:
    interrupting(monkeypatch, 1)
    with pytest.raises(Interrupted) as caught:
        kilonet.train("quick", overrides=WORDS)
    path = caught.value.run
    assert path.name == "quick-1"
    assert not kilonet.list_runs()[0].finished
    monkeypatch.undo()
    monkeypatch.setattr(finish, "export_onnx", lambda *_: None)
    monkeypatch.setattr(finish, "write_report", lambda *_: None)
    resumed = kilonet.resume(path)
    assert resumed.finished
    for name in (layout.BEST, layout.LAST):
        ours, theirs = load_file(path / name), load_file(finished.path / name)
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert (path / layout.METRICS).read_bytes() == (finished.path / layout.METRICS).read_bytes()


def test_a_run_that_was_interrupted_before_its_first_epoch_starts_anew(
    own_network: Path, without_report: None, capsys: pytest.CaptureFixture[str]
) -> None:
    run = start_run(recipe=str(own_network), path=own_network.parent / "run")
    done = kilonet.resume(run.path, model="tinynet:Net", reporter=PrintReporter())
    assert done.finished
    assert f"Resuming {run.path} after 0 epochs.\n" in capsys.readouterr().out


def test_a_finished_run_is_not_trained_again(finished: Trained, tmp_path: Path) -> None:
    path = finished.copy(tmp_path / "copy")
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    assert kilonet.resume(path).finished
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before


def unfinished_copy(finished: Trained, tmp_path: Path) -> Path:
    path = finished.copy(tmp_path / "copy")
    facts = json.loads((path / layout.RUN).read_text(encoding="utf-8"))
    text = json.dumps({**facts, "finished": False})
    (path / layout.RUN).write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, "half"])
def test_a_damaged_state(finished: Trained, tmp_path: Path, content: bytes | str) -> None:
    path = unfinished_copy(finished, tmp_path)
    state = path / layout.STATE
    whole = state.read_bytes()
    state.write_bytes(content if isinstance(content, bytes) else whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="is damaged") as caught:
        kilonet.resume(path)
    assert str(state) in str(caught.value)


def test_a_state_of_something_else(finished: Trained, tmp_path: Path) -> None:
    path = unfinished_copy(finished, tmp_path)
    save_file({}, path / layout.STATE, {"structure": '{"entries": []}'})
    with pytest.raises(CheckpointError) as caught:
        kilonet.resume(path)
    assert str(path / layout.STATE) in str(caught.value)


def test_a_recipe_that_was_changed_meanwhile(finished: Trained, tmp_path: Path) -> None:
    path = unfinished_copy(finished, tmp_path)
    text = (path / layout.RECIPE).read_text(encoding="utf-8").replace("lr = 0.02", "lr = 0.03")
    (path / layout.RECIPE).write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError, match="another recipe"):
        kilonet.resume(path)


def test_a_run_in_use(own_network: Path) -> None:
    run = start_run(recipe=str(own_network), path=own_network.parent / "run")
    with run.locked(), pytest.raises(RunError, match="is in use"):
        kilonet.resume(run.path, model="tinynet:Net")


def test_divergence_says_what_is_left(own_network: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError) as caught:
        kilonet.train(own_network, overrides=["optimizer.name=sgd", "optimizer.lr=1e6"])
    assert "no longer finite" in str(caught.value)
    assert str(caught.value).endswith(f"the recipe is in {tmp_path / 'runs' / 'tiny-1'}.")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            OSError(28, "No space left on device"),
            "write to RUN: No space.*Make room, then",
        ),
        (OSError(122, "Disk quota exceeded"), "write to RUN: Disk quota.*Make room, then"),
        (
            OSError(30, "Read-only file system"),
            "write to RUN: Read.*Remove the cause, then",
        ),
        (OSError(5, "Input/output error", "/a/b"), "^/a/b: Input/output error. Remove the cause"),
        (OSError("nothing else"), "write to RUN: nothing else. Remove the cause, then"),
    ],
)
def test_errors_of_the_system_during_a_training(error: OSError, text: str) -> None:
    run = start_run()
    with (
        pytest.raises(RunError, match=text.replace("RUN", str(run.path))) as caught,
        train.run_errors(run),
    ):
        raise error
    assert str(caught.value).endswith(f"kilonet train --resume {run.path}")


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't allocate memory: 9 bytes")])
def test_a_run_without_memory_can_be_resumed(error: Exception) -> None:
    run = start_run()
    with pytest.raises(RunError, match="not enough memory") as caught, train.run_errors(run):
        raise error
    assert str(caught.value).endswith(f"then continue: kilonet train --resume {run.path}")


def test_a_run_that_is_removed_while_it_trains(
    own_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(path: Path, _: Any) -> None:
        shutil.rmtree(path.parent)
        path.write_bytes(b"")

    monkeypatch.setattr(train, "save_state", save)
    with pytest.raises(RunError) as caught:
        kilonet.train(own_network)
    run = tmp_path / "runs" / "tiny-1"
    advice = f"{run} was removed or moved during the training: train again."
    assert str(caught.value).endswith(advice)


def test_a_network_that_onnx_cannot_say_is_trained_without_it(
    own_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise KilonetError("Net cannot be exported to ONNX: no.")

    monkeypatch.setattr(finish, "export_onnx", refuse)
    monkeypatch.setattr(finish, "write_report", lambda *_: None)
    run = kilonet.train(own_network)
    assert run.finished
    assert run.directory.facts["onnx_note"] == "Net cannot be exported to ONNX: no."
    assert not (run.path / layout.ONNX).exists()


def test_paths_with_brackets_are_printed_as_they_are(
    own_network: Path, tmp_path: Path, without_report: None, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "[red]run[bold] :smile:"
    with ConsoleReporter(Console(width=40)) as reporter:
        kilonet.train(own_network, out=out, reporter=reporter)
    assert f"; run {out}\n" in capsys.readouterr().out
