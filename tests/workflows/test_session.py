"""How a training is assembled: by one process or by those of torchrun, and with which precision."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import kilonet
from kilonet.errors import RecipeError, TrainingError, UsageError, WorkerLostError
from kilonet.recipe.load import Resolved, resolve
from kilonet.recipe.schema import Recipe
from kilonet.runs import layout
from kilonet.runs.directory import RunDirectory
from kilonet.training import device
from kilonet.workflows import finish, session
from kilonet.workflows.runs import Run, find_run
from kilonet.workflows.session import is_follower, open_session, training_group
from kilonet.workflows.train import run_errors

RECIPE = """
[data]
name = "digits"
[model]
name = "conv-stack"
layers = "c4 M p6 c8 M"
dropout = 0.1
[optimizer]
name = "sgd"
lr = 0.05
momentum = 0.9
[schedule]
name = "one-cycle"
[augmentation]
rotation = 10.0
[training]
epochs = 2
batch_size = 100
threads = 1
ema = 0.9
"""


@pytest.fixture(autouse=True)
def not_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variables of torchrun, and no reports."""
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(finish, "export_onnx", lambda *_: None)
    monkeypatch.setattr(finish, "write_report", lambda *_: None)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small recipe with everything that draws random numbers."""
    path = tmp_path_factory.mktemp("session") / "small.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


def torchrun(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["-m", "kilonet", "train", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def by_two(file: Path) -> tuple[Run, str]:
    """The run of two processes, and what they printed."""
    path = file.parent / "two"
    done = torchrun(str(file), "--out", str(path))
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stderr
    return find_run(path), done.stdout


def same_weights(run: Path, other: Path) -> bool:
    return all(
        torch.equal(value, load_file(other / name)[key])
        for name in (layout.BEST, layout.LAST)
        for key, value in load_file(run / name).items()
    )


def test_a_run_of_two_processes(by_two: tuple[Run, str]) -> None:
    run, printed = by_two
    facts = run.directory.facts["environment"]
    assert (facts["workers"], facts["threads"], facts["precision"]) == ("2", "1", "float32")
    assert run.finished
    start = (
        "small: 618 parameters on Optical digits (scikit-learn), cpu with 2 processes of 1 thread"
    )
    assert sum(line.startswith(start) for line in printed.splitlines()) == 1
    assert printed.count("epoch 2/2") == 1  # the follower prints nothing


def test_an_interrupted_run_is_resumed_by_as_many_processes_to_the_same_bits(
    by_two: tuple[Run, str], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = by_two
    path = file.parent / "resumed"
    shutil.copytree(run.path, path)
    facts = json.loads((path / layout.RUN).read_text(encoding="utf-8"))
    del facts[layout.CHECKSUMS_KEY]
    (path / layout.RUN).write_text(json.dumps(facts | {"finished": False}), encoding="utf-8")
    (path / layout.STATE).unlink()
    with pytest.raises(UsageError, match=r"trained the run: 2; .* started: 1\. Resume it with"):
        kilonet.resume(path)
    done = torchrun("--resume", str(path))
    assert done.returncode == 0, done.stderr
    assert f"Resuming {path} after 0 epochs." in done.stdout
    assert same_weights(path, run.path)


def chosen(*words: str) -> Recipe:
    return resolve("gap-14k", ["data.name=digits", *words]).recipe


def launch(monkeypatch: pytest.MonkeyPatch, rank: int, size: int) -> None:
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("WORLD_SIZE", str(size))


def test_the_group_is_that_of_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    assert training_group(chosen()).size == 1
    assert training_group(chosen(), 1).size == 1
    launch(monkeypatch, 0, 3)
    assert not is_follower()
    assert training_group(chosen()).size == training_group(chosen(), 3).size == 3


@pytest.mark.parametrize(
    ("processes", "remedy"),
    [(2, r"with torchrun --nproc-per-node 2 -m kilonet train"), (1, r"without torchrun\.$")],
)
def test_another_number_of_processes(
    processes: int, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch(monkeypatch, 0, 3)
    with pytest.raises(UsageError, match=rf"were started: 3\. Resume it {remedy}"):
        training_group(chosen(), processes)


def test_batches_too_small_to_share(monkeypatch: pytest.MonkeyPatch) -> None:
    launch(monkeypatch, 0, 2)
    with pytest.raises(UsageError, match=r"2 processes cannot share batches of 3 images"):
        training_group(chosen("training.batch_size=3"))
    assert training_group(chosen("training.batch_size=4")).size == 2


def test_python_under_torchrun_is_for_the_leader(monkeypatch: pytest.MonkeyPatch) -> None:
    launch(monkeypatch, 1, 2)
    assert is_follower()
    with pytest.raises(UsageError, match=r"torchrun --nproc-per-node N -m kilonet train RECIPE$"):
        training_group(chosen())


def test_a_lost_process_leaves_a_run_to_resume(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path, {})
    with pytest.raises(WorkerLostError) as caught, run_errors(run):
        raise WorkerLostError("It is gone.")
    command = f"kilonet train --resume {tmp_path}"
    assert str(caught.value) == f"It is gone. Whole epochs are kept; continue with: {command}"


def test_other_training_errors_say_what_is_kept(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path, {})
    with pytest.raises(TrainingError, match=r"^No\. No epoch was completed; "), run_errors(run):
        raise TrainingError("No.")


def test_the_precision_that_was_chosen_is_part_of_the_run(file: Path, tmp_path: Path) -> None:
    run = kilonet.train(file, precision="auto", kernels="torch", epochs=1, out=tmp_path / "run")
    assert run.recipe.training.precision in ("float32", "bfloat16")
    assert run.recipe.training.precision == run.directory.facts["environment"]["precision"]


def test_a_precision_that_the_device_lacks(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(device, "_supports_bfloat16", lambda device: False)
    monkeypatch.setattr(session, "load_or_fall_back", lambda *_: pytest.fail("data was loaded"))
    with pytest.raises(UsageError, match="the device cpu has no arithmetic for it"):
        kilonet.train(file, precision="bfloat16", kernels="torch", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_recipe_object_trains_as_its_file_does(file: Path, tmp_path: Path) -> None:
    recipe = resolve(file).recipe
    from_file = kilonet.train(file, epochs=1, out=tmp_path / "file")
    run = kilonet.train(recipe, name="mine", epochs=1, out=tmp_path / "object")
    assert same_weights(run.path, from_file.path)
    assert run.directory.facts["recipe"] == "mine"
    assert run.directory.facts["fingerprint"] == from_file.directory.facts["fingerprint"]


def test_a_recipe_object_is_checked_with_its_changes(file: Path) -> None:
    with pytest.raises(RecipeError, match=r"mine: .*optimizer.* lr"):
        kilonet.train(resolve(file).recipe, name="mine", lr=-1.0)


def test_the_session_is_what_will_be_trained(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    with open_session(resolve(file, ["training.threads=1", "training.kernels=torch"])) as opened:
        assert (opened.parameters, opened.dataset.name, opened.note) == (618, "digits", None)
        assert opened.recipe == opened.fit.recipe
        assert opened.recipe.training.kernels == opened.fit.kernels == "torch"
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    forbidden: Any = lambda *_: pytest.fail("data was loaded")  # noqa: E731
    monkeypatch.setattr(session, "load_or_fall_back", forbidden)
    small = resolve(file, ["constraints.max_parameters=100"])
    with pytest.raises(RecipeError, match="618"), open_session(small):
        pass


def test_saving_is_optional_and_final_weights_are_loaded(file: Path) -> None:
    resolved = resolve(file, ["training.epochs=1"])
    named = Resolved("named", resolved.recipe, data_named=True)
    with open_session(named) as opened:
        outcome = opened.run()
        network = opened.trained_network(outcome)
    state = network.state_dict()
    assert all(torch.equal(state[key], value) for key, value in outcome.best.items())
