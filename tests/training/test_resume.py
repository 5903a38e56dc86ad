"""Processes that are killed at any moment and resumed end in the bits of an undisturbed run."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from trials import CLOCKS

import kilonet
from kilonet.errors import TrainingError
from kilonet.progress import Reporter, Row
from kilonet.runs import layout
from kilonet.training.checkpoints import load_state
from kilonet.training.fit import Fit
from kilonet.workflows import finish

RECIPE = "gap-14k"
OVERRIDES = (
    'model.layers="c6 M p4 c8 M"',
    "augmentation.rotation=10.0",
    "augmentation.handwriting=0.2",
    "data.name=digits",
    "training.epochs=8",
    "training.batch_size=64",
    "training.ema=0.9",
    "training.threads=1",
    "training.device=cpu",
)
SAME_BITS = (layout.BEST, layout.LAST, layout.METRICS)
PATIENCE = 300  # seconds that a busy machine may take for what needs a few


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed, made in this process; its report would only take time."""
    out = tmp_path_factory.mktemp("whole") / "run"
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finish, "export_onnx", lambda *_: None)
        patch.setattr(finish, "write_report", lambda *_: None)
        run = kilonet.train(RECIPE, overrides=OVERRIDES, out=out)
    torch.set_num_threads(threads)
    return run.path


def assert_same(run: Path, whole: Path) -> None:
    for name in SAME_BITS:
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name
    assert rows(run) == rows(whole)


def rows(run: Path) -> list[dict[str, str]]:
    with (run / layout.HISTORY).open(encoding="utf-8") as file:
        return [{k: v for k, v in row.items() if k not in CLOCKS} for row in csv.DictReader(file)]


def epochs_saved(run: Path) -> int:
    path = run / layout.STATE
    return len(load_state(path)["history"]) if path.exists() else 0


def _reached(condition: str, run: Path, epochs: int) -> bool:
    table = run / layout.HISTORY  # a line an epoch, written right after the state
    if not table.exists() or len(table.read_text(encoding="utf-8").splitlines()) <= epochs:
        return False
    return condition == "saved" or any(run.glob(f".{layout.STATE}.*.part"))


class Command:
    """A real ``kilonet train`` in a process of its own."""

    def __init__(self, *words: str, log: Path) -> None:
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "kilonet", "train", *words],
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def kill_once(self, condition: str, folder: Path, epochs: int) -> None:
        """SIGKILL it once ``folder`` holds a state of ``epochs`` epochs: then ("saved"), or when
        the next one is being written ("writing").
        """
        deadline = time.monotonic() + PATIENCE
        while self._process.poll() is None and not _reached(condition, folder, epochs):
            assert time.monotonic() < deadline, "it never got there"
            time.sleep(0.001)
        self._process.send_signal(signal.SIGKILL)
        assert self._process.wait(PATIENCE) == -signal.SIGKILL, "it ended before it was killed"

    def wait(self) -> int:
        return self._process.wait(PATIENCE)


@pytest.mark.slow
def test_killed_from_outside(undisturbed: Path, tmp_path: Path) -> None:
    run, log = tmp_path / "run", tmp_path / "log"
    Command(RECIPE, *OVERRIDES, "--out", str(run), log=log).kill_once("saved", run, epochs=1)
    after_first = epochs_saved(run)
    Command("--resume", str(run), log=log).kill_once("writing", run, epochs=after_first + 1)
    assert after_first < epochs_saved(run) < 8
    assert Command("--resume", str(run), log=log).wait() == 0, log.read_text()
    assert_same(run, undisturbed)
    printed = log.read_text()
    assert printed.count("Resuming ") == 2
    assert f"after {after_first} epochs" in printed


# One process imports everything once and forks a child for each point; a child is a whole
# ``kilonet train`` (less the report) that kills itself there, and each goes on where the one
# before was killed.
DRIVER = """
import os, signal, sys
import kilonet.workflows.finish, kilonet.workflows.train, kilonet.files, sklearn.datasets
from kilonet.cli import main
from kilonet.runs.directory import RunDirectory
from kilonet.training.fit import Fit

run, words = sys.argv[1], sys.argv[2:]
kilonet.workflows.finish.export_onnx = kilonet.workflows.finish.write_report = lambda *_: None

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def after(calls, whole, last=lambda *_: None):
    count = 0
    def counted(*arguments):
        nonlocal count
        count += 1
        if count == calls:
            last(*arguments)
            die()
        return whole(*arguments)
    return counted

def in_mid_epoch(step):
    Fit._step = after(step, Fit._step)

def half_way_through_a_file(number):
    def halve(handle):
        os.ftruncate(handle, os.fstat(handle).st_size // 2)
    kilonet.files.os.fsync = after(number, os.fsync, halve)

def between_state_and_history():
    RunDirectory.write_history = after(1, RunDirectory.write_history)

def while_finishing():
    kilonet.workflows.finish.export_onnx = after(1, None)

def child(arguments, inflict):
    pid = os.fork()
    if not pid:
        inflict()
        main(["train", *arguments])
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

again = ["--resume", run]
points = [
    lambda: in_mid_epoch(5),                # of the first epoch: there is no state yet
    lambda: half_way_through_a_file(1),     # the first state: nothing but its temporary file
    between_state_and_history,              # of the first epoch
    lambda: half_way_through_a_file(3),     # a later state, the one before in its place
    lambda: in_mid_epoch(30),
    while_finishing,
]
for number, point in enumerate(points):
    status = child(again if number else [*words, "--out", run], point)
    assert status == -signal.SIGKILL, (number, status)
assert child(again, lambda: None) == 0
"""


def test_killed_at_chosen_points(undisturbed: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(run), RECIPE, *OVERRIDES],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert_same(run, undisturbed)


@pytest.mark.parametrize("good", [0, 2])
def test_divergence_leaves_the_last_good_state(
    good: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some good epochs the rate explodes; what is on disk is the state of those."""
    train_epoch = Fit._train_epoch

    def explode(self: Fit, epoch: int, reporter: Reporter) -> Row:
        if epoch > good:
            self.optimizer.param_groups[0]["lr"] = 1e30
        return train_epoch(self, epoch, reporter)

    monkeypatch.setattr(Fit, "_train_epoch", explode)
    out = tmp_path / "run"
    with pytest.raises(TrainingError, match=rf"no longer finite in epoch {good + 1}: .*optimizer"):
        kilonet.train(RECIPE, overrides=[*OVERRIDES, "schedule.name=none"], out=out)
    assert epochs_saved(out) == good
    assert not {layout.BEST, layout.ONNX, layout.METRICS} & {path.name for path in out.iterdir()}
    assert not list(out.glob(".*.part"))
    if good:
        state = load_state(out / layout.STATE)
        assert all(value.isfinite().all() for value in state["model"].values())
