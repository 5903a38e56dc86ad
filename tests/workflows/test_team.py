"""Who trains: how many workers, when they are refused, and that any way to start them is the same.

The helpers of these tests are real processes, each of which loads PyTorch: no more than needed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file

import kilonet
from kilonet.errors import TrainingError, UsageError, WorkerLostError
from kilonet.recipe.load import resolve
from kilonet.recipe.schema import Recipe
from kilonet.runs import layout
from kilonet.training.crew import Crew
from kilonet.training.state import State, save_state
from kilonet.training.torchrun import Launched
from kilonet.workflows import finish, team, train
from kilonet.workflows.guard import not_begun
from kilonet.workflows.run import Run
from kilonet.workflows.team import gather, is_assistant

CPU, CUDA, MPS = (torch.device(kind) for kind in ("cpu", "cuda", "mps"))
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
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """A machine with two cores, which torchrun has started nothing on, and no reports."""
    has = {"cpu": 2, "cuda": 2, "mps": 1}
    monkeypatch.setattr(team, "places", lambda device: has[device.type])
    monkeypatch.setattr(team, "physical_cores", lambda: has["cpu"])
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(finish, "export_onnx", lambda *_: None)
    monkeypatch.setattr(finish, "write_report", lambda *_: None)
    return has


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small recipe with everything that draws random numbers."""
    path = tmp_path_factory.mktemp("team") / "small.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def made_by_two(file: Path) -> Iterator[Run]:
    """What two workers make of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finish, "export_onnx", lambda *_: None)
        patch.setattr(finish, "write_report", lambda *_: None)
        yield kilonet.train(file, workers=2, out=file.parent / "two")


def same_weights(run: Path, other: Path) -> bool:
    return all(
        torch.equal(value, load_file(other / name)[key])
        for name in (layout.BEST, layout.LAST)
        for key, value in load_file(run / name).items()
    )


def crews(monkeypatch: pytest.MonkeyPatch) -> list[Crew]:
    """Return the list that every crew from now on is added to."""
    made: list[Crew] = []

    def make(size: int) -> Crew:
        made.append(Crew(size))
        return made[-1]

    monkeypatch.setattr(team, "Crew", make)
    return made


def test_what_a_run_of_two_records(made_by_two: Run) -> None:
    facts = made_by_two.directory.facts["environment"]
    assert (facts["workers"], facts["threads"], facts["precision"]) == ("2", "1", "float32")
    assert made_by_two.recipe.training.workers == 2
    assert made_by_two.finished


def test_torchrun_trains_to_the_same_bits(made_by_two: Run, file: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["-m", "kilonet", "train", str(file), "--out", str(file.parent / "torchrun")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("small: 618 parameters on Optical digits (scikit-learn), ")
    assert "cpu with 2 workers of 1 thread each" in done.stdout
    assert done.stdout.count("epoch 2/2") == 1  # the one that does not lead says nothing
    assert "Error" not in done.stderr
    assert same_weights(file.parent / "torchrun", made_by_two.path)


def test_a_run_that_lost_a_worker_is_gone_on_with_to_the_same_bits(
    made_by_two: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, before = crews(monkeypatch), torch.get_num_threads()
    torch.set_num_threads(3)

    def save_and_kill(path: Path, state: State) -> None:
        save_state(path, state)
        started[0]._helpers[0]._process.kill()

    monkeypatch.setattr(train, "save_state", save_and_kill)
    with pytest.raises(WorkerLostError) as caught:
        kilonet.train(file, workers=2, out=file.parent / "lost")
    command = f"kilonet train --resume {file.parent / 'lost'}"
    assert str(caught.value).startswith("Worker 2 of 2 was killed; ")
    assert str(caught.value).endswith(f"Whole epochs are kept; go on with: {command}")
    monkeypatch.setattr(train, "save_state", save_state)
    resumed = kilonet.resume(file.parent / "lost")
    assert [row["epoch"] for row in resumed.history] == [1, 2]
    assert same_weights(resumed.path, made_by_two.path)
    assert torch.get_num_threads() == 3
    torch.set_num_threads(before)


@pytest.mark.parametrize("faster", [True, False])
def test_auto_takes_what_a_trial_shows_to_be_faster(
    faster: bool, made_by_two: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = crews(monkeypatch)
    monkeypatch.setattr(team, "seconds_a_step", lambda fit: 1e9 if faster else 0.0)
    out = file.parent / f"auto-{faster}"
    run = kilonet.train(file, workers="auto", out=out)
    assert [made.size for made in started] == [2]
    assert run.recipe.training.workers == (2 if faster else 1)
    assert same_weights(run.path, made_by_two.path) == faster
    if not faster:
        alone = kilonet.train(file, out=file.parent / "alone")
        assert same_weights(run.path, alone.path)
    assert not dist.is_initialized()


def chosen(*words: str) -> Recipe:
    return resolve("gap-14k", ["data.name=digits", *words]).recipe


@pytest.mark.parametrize(
    ("words", "device", "cores", "size"),
    [
        (["training.workers=1"], CPU, 4, 1),
        (["training.workers=1", "training.batch_size=1"], CPU, 4, 1),
        (["training.workers=4"], CPU, 4, 4),
        (["training.workers=auto"], CPU, 4, 4),
        (["training.workers=auto", "training.threads=2"], CPU, 5, 2),
        (["training.workers=auto", "training.threads=8"], CPU, 4, 1),
        (["training.workers=auto", "training.batch_size=40"], CPU, 4, 2),
        (["training.workers=auto", "training.batch_size=4"], CPU, 4, 1),
        (["training.workers=auto"], CUDA, 1, 2),
        (["training.workers=auto"], torch.device("cuda", 1), 1, 1),
        (["training.workers=auto"], MPS, 4, 1),
    ],
)
def test_how_many(
    words: list[str],
    device: torch.device,
    cores: int,
    size: int,
    machine: dict[str, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine["cpu"] = cores
    monkeypatch.setattr(team, "Crew", lambda number: number)
    assert gather(chosen(*words), device) == size


@pytest.mark.parametrize(
    ("words", "device", "text"),
    [
        (["training.workers=3"], CPU, r"the number of cores for them is 2; .*Use at most 2, or"),
        (["training.workers=3"], CUDA, r"the number of CUDA devices for them is 2"),
        (["training.workers=2"], MPS, r"the number of MPS devices for them is 1"),
        (["training.workers=2"], torch.device("cuda", 1), r"cuda:1 is a single one"),
        (["training.workers=2", "training.batch_size=3"], CPU, r"batches of 3 images: each needs"),
    ],
)
def test_too_many(words: list[str], device: torch.device, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        gather(chosen(*words), device)


def test_a_process_that_is_at_work_with_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team.dist, "is_initialized", lambda: True)
    with pytest.raises(UsageError, match=r"one training at a time, or with one: .*workers=1"):
        gather(chosen("training.workers=2"), CPU)
    assert gather(chosen(), CPU).size == 1


def launched(monkeypatch: pytest.MonkeyPatch, rank: int, size: int) -> None:
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("WORLD_SIZE", str(size))


@pytest.mark.parametrize("workers", ["1", "auto", "3"])
def test_under_torchrun(workers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    launched(monkeypatch, 0, 3)
    assert not is_assistant()
    found = gather(chosen(f"training.workers={workers}"), CPU)
    assert isinstance(found, Launched)
    assert found.size == 3


@pytest.mark.parametrize(
    ("workers", "resumed", "remedy"),
    [
        ("2", False, r"Start 2, or leave training\.workers out\.$"),
        ("2", True, r"Start 2\.$"),
        ("1", True, r"Start 1\.$"),
    ],
)
def test_under_torchrun_with_another_number(
    workers: str, resumed: bool, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched(monkeypatch, 0, 3)
    with pytest.raises(UsageError, match=rf"torchrun started 3 processes\. {remedy}"):
        gather(chosen(f"training.workers={workers}"), CPU, resumed=resumed)


def test_python_under_torchrun_is_for_the_one_that_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    launched(monkeypatch, 1, 2)
    assert is_assistant()
    with pytest.raises(UsageError, match=r"torchrun --nproc-per-node N -m kilonet train RECIPE$"):
        gather(chosen(), CPU)


def test_a_run_is_gone_on_with_by_as_many_as_began_it(
    made_by_two: Run, tmp_path: Path, machine: dict[str, int]
) -> None:
    path = tmp_path / "moved"
    subprocess.run(["cp", "-r", str(made_by_two.path), str(path)], check=True)
    text = (path / layout.RUN).read_text(encoding="utf-8")
    (path / layout.RUN).write_text(text.replace('"finished": true', '"finished": false'), "utf-8")
    machine["cpu"] = 1
    with pytest.raises(UsageError, match=r"workers = 2, but the number of cores for them is 1"):
        kilonet.resume(path)


def test_a_worker_lost_before_there_is_a_run(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    out = tmp_path / "none"
    with pytest.raises(WorkerLostError) as caught:
        kilonet.train(file, workers=2, out=out)
    assert str(caught.value) == (
        "Worker 2 of 2 ended with exit status 1. Nothing was trained. "
        "Try again, or with one: training.workers=1"
    )
    assert not out.exists()


def test_other_errors_pass_before_there_is_a_run() -> None:
    with pytest.raises(TrainingError, match=r"^as it is$"), not_begun():
        raise TrainingError("as it is")


def test_the_precision_that_was_picked_is_part_of_the_run(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "choose_precision", lambda name, device, kernels: "float32")
    run = kilonet.train(file, precision="auto", epochs=1, out=tmp_path / "run")
    assert run.recipe.training.precision == "float32"


def test_a_precision_that_the_device_lacks(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("kilonet.training.precision._knows_bfloat16", lambda device: False)
    monkeypatch.setattr(train, "load_or_stand_in", lambda *_: pytest.fail("data was looked for"))
    with pytest.raises(UsageError, match="the device cpu has no arithmetic for it"):
        kilonet.train(file, precision="bfloat16", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
