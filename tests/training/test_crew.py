"""Real helper processes: they train the same bits, and none of them is ever waited for in vain."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist
from crowd import FORKED, together
from test_workers import FULL, run
from trials import CPU, figures, fit, material, recipe, same, trained

from kilonet.errors import TrainingError, WorkerLostError
from kilonet.progress import Silent
from kilonet.training import crew
from kilonet.training.crew import Crew
from kilonet.training.fit import Outcome
from kilonet.training.helper import job_of
from kilonet.training.process import HelperProcess
from kilonet.training.state import State
from kilonet.training.workers import Workers

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files, which is empty again afterwards."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.glob("kilonet-*")) == []
    assert not dist.is_initialized()


def helpers_of(team: Crew) -> list[subprocess.Popen[str]]:
    return [helper._process for helper in team._helpers]


def trained_by(
    team: Crew, *overrides: str, save: Callable[[State], Any] = lambda _: None
) -> Outcome:
    """Train the small recipe with ``team``."""
    chosen = recipe(*overrides)
    with team.watched():
        workers = team.join(job_of(chosen, CPU, 1, trial=False))
        workers.told(material(chosen))
        return fit(*overrides, workers=workers).run(save, Silent())


@pytest.fixture(scope="module")
def expected() -> Outcome:
    """What two workers get that are not a crew."""
    (outcome, _), _ = together(run, *FULL)
    return outcome


def open_files() -> set[str]:
    gc.collect()  # what tests before this one have left to be closed
    return {path.name for path in Path("/proc/self/fd").iterdir()}


@linux
def test_trains_to_the_bits_of_any_two_workers_and_leaves_nothing(
    expected: Outcome,
) -> None:
    trained("training.epochs=1")  # opens what PyTorch keeps open
    before, variables = open_files(), dict(os.environ)
    with Crew(2) as team:
        outcome = trained_by(team, *FULL)
        (helper,) = helpers_of(team)
    assert helper.returncode is not None
    assert same(outcome.last, expected.last)
    assert figures(outcome.history) == figures(expected.history)
    assert open_files() <= before
    assert dict(os.environ) == variables
    team.close()  # again does no harm


def test_one_worker_is_no_crew(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "HelperProcess", lambda: pytest.fail("a helper was started"))
    with Crew(1) as team:
        assert team.join({}) == Workers()
        assert list(temporary.iterdir()) == []


def test_threads_are_shared() -> None:
    team = Crew(1)
    team.size = 3
    assert [team.threads_each(threads) for threads in (1, 2, 3, 8)] == [1, 1, 1, 2]


def test_a_helper_that_is_killed() -> None:
    with Crew(2) as team:

        def kill(state: State) -> None:
            helpers_of(team)[0].kill()

        with pytest.raises(WorkerLostError, match=r"^Worker 2 of 2 was killed; .* memory\.$"):
            trained_by(team, save=kill)


def test_a_helper_that_no_longer_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    with Crew(2) as team:

        def stop(state: State) -> None:
            helper.send_signal(signal.SIGSTOP)

        (helper,) = helpers_of(team)
        monkeypatch.setattr(crew, "SECONDS_TO_END", 0.1)
        monkeypatch.setattr(crew, "SECONDS_TO_ANSWER", 2)
        with pytest.raises(
            WorkerLostError, match=r"^A worker of 2 did not answer for 2 seconds\.$"
        ):
            trained_by(team, save=stop)
        assert helper.poll() is None
    assert helper.returncode == -signal.SIGKILL


NET = """
import os, sys
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(784, 10)
        self.steps = 0

    def forward(self, x):
        if os.getpid() != LEADER:
            self.steps += self.training
            print("x" * 1_000_000)
            sys.stdin.read()
            if self.steps == 7:
                raise RuntimeError("né in zwei")
        return self.linear(x.flatten(1))
"""


def test_a_network_that_fails_in_the_helper_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its words reach the user; nothing else of it does, nor stands in the way."""
    monkeypatch.chdir(tmp_path)
    text = f"{NET}\nLEADER = {os.getpid()}\n"
    (tmp_path / "fails_in_helper.py").write_text(text, encoding="utf-8")
    words = ("model.name=fails_in_helper:Net", "model.layers=off", "training.batch_size=50")
    with (
        Crew(2) as team,
        pytest.raises(TrainingError, match=r"^A step of epoch 3 failed: RuntimeError: né in zwei"),
    ):
        trained_by(team, *words)
    monkeypatch.delitem(sys.modules, "fails_in_helper")
    assert capfd.readouterr() == ("", "")


def lead(news: Connection) -> None:
    """Lead a crew to where the helper waits for this process, and tell where it is."""
    team = Crew(2)
    chosen = recipe()
    team.join(job_of(chosen, CPU, 1, trial=False))
    news.send(helpers_of(team)[0].pid)
    time.sleep(60)


def test_no_helper_outlives_the_one_that_leads(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(temporary))
    ours, theirs = FORKED.Pipe()
    leader = FORKED.Process(target=lead, args=(theirs,))
    leader.start()
    assert ours.poll(60)
    pid = ours.recv()
    leader.kill()
    leader.join()
    until = time.monotonic() + 10
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.02)
    assert not alive(pid)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or ") Z " not in stat.read_text(encoding="utf-8")


def test_a_helper_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with (
        Crew(3) as team,
        pytest.raises(WorkerLostError, match=r"^Worker 2 of 3 ended with exit status 1\.$"),
        team.watched(),
    ):
        team.join({})


def test_no_room_for_helpers(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[HelperProcess] = []

    def one_and_no_more() -> HelperProcess:
        if started:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        monkeypatch.setattr(sys, "executable", "/bin/cat")
        started.append(HelperProcess())
        return started[0]

    monkeypatch.setattr(crew, "HelperProcess", one_and_no_more)
    with pytest.raises(
        TrainingError,
        match=r"^2 processes to help could not be started: Resource temporarily .*workers=1$",
    ):
        Crew(3)
    assert started[0]._process.returncode is not None


@pytest.mark.parametrize(
    ("status", "words", "expected"),
    [
        (-9, "", "was killed; if nobody did that, the machine has run out of memory"),
        (-11, "", "was ended by SIGSEGV"),
        (1, "ValueError: no.", "ended with exit status 1: ValueError: no"),
        (7, "", "ended with exit status 7"),
    ],
)
def test_how_it_is_said(status: int, words: str, expected: str) -> None:
    assert crew._ended(status, words) == expected
