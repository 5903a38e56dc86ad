"""One helper process: started, told, ended, and asked what it died of. None here loads PyTorch."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kilonet.errors import TrainingError, WorkerLostError
from kilonet.training import process
from kilonet.training.process import HERE, READY, HelperProcess, loopback

Start = Callable[[str], HelperProcess]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start a helper that is a shell script in place of Python."""
    started: list[HelperProcess] = []

    def start_script(script: str) -> HelperProcess:
        program = tmp_path / "python"
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))
        started.append(HelperProcess())
        return started[-1]

    yield start_script
    for helper in started:
        helper.end()


def soon() -> float:
    return time.monotonic() + 10


def test_is_told_its_job_as_one_line(start: Start, tmp_path: Path) -> None:
    helper = start(f"echo noise; echo '{READY}'; head -n 1 >{tmp_path}/told; echo '{HERE}'")
    helper.begin({"name": "é\n"}, 10)
    assert helper.failure(soon()) == (0, "")
    assert (tmp_path / "told").read_text(encoding="utf-8") == '{"name": "\\u00e9\\n"}\n'


def test_finds_the_modules_that_this_process_finds(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", ["/first", "", *sys.path])
    monkeypatch.setattr(os, "environ", {**os.environ, "GLOO_SOCKET_IFNAME": "chosen"})
    helper = start(f'echo "$PYTHONPATH $GLOO_SOCKET_IFNAME $*" >{tmp_path}/given')
    assert helper.failure(soon()) == (0, "")
    given = (tmp_path / "given").read_text(encoding="utf-8")
    assert given.startswith(f"/first:{Path.cwd()}:{sys.path[2]}")
    assert given.endswith("chosen -P -m kilonet.training.helper\n")


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo Traceback >&2; echo ' x = 1' >&2; echo 'ValueError: no' >&2; exit 1", "no"),
        ("echo noise >&2; echo '\"Its own words, é.\"'; exit 4", "Its own words, é."),
        ("echo 'not JSON'; echo 'the last' >&2; exit 3", "the last"),
        ("exit 7", ""),
        ("kill -9 $$", ""),
    ],
)
def test_what_it_died_of(start: Start, script: str, expected: str) -> None:
    failure = start(script).failure(soon())
    assert failure is not None
    assert failure[1].removeprefix("ValueError: ") == expected
    assert failure[0] == (-9 if "kill" in script else int(script.rpartition(" ")[2]))


def test_one_that_lives_has_not_failed(start: Start) -> None:
    helper = start("exec sleep 60")
    assert helper.failure(time.monotonic() + 0.05) is None
    assert helper.failure(time.monotonic() - 1) is None
    began = time.monotonic()
    helper.end()
    assert time.monotonic() - began < 5
    helper.end()  # again does no harm


@pytest.mark.parametrize(
    "script", ["exit 1", f"echo '{READY}'; exit 1", f"echo '{READY}'; read line; exit 1"]
)
def test_one_that_dies_before_it_is_told(start: Start, script: str) -> None:
    helper = start(script)
    with pytest.raises(WorkerLostError):
        helper.begin({"long": "x" * 2**20}, 10)
    helper.end()  # with a job in its pipe that no one reads


def test_one_that_is_not_there_in_time(start: Start) -> None:
    helper = start(f"echo '{READY}'; read line; exec sleep 60")
    with pytest.raises(TrainingError, match=r"training\.workers=1"):
        helper.begin({}, 0.1)


def test_one_that_is_not_ready_in_time(start: Start) -> None:
    helper = start("exec sleep 60")
    with pytest.raises(TrainingError, match=r"not ready to start after 0\.1 seconds"):
        helper.begin({}, 0.1)
    assert helper.failure(soon()) == (-9, "")


def test_no_room_for_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(OSError, match="nonexistent"):
        HelperProcess()


def test_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process.socket, "if_nameindex", lambda: [(1, "en0"), (2, "lo0")])
    assert loopback() == {"GLOO_SOCKET_IFNAME": "lo0"}
    monkeypatch.setattr(process.socket, "if_nameindex", lambda: [(1, "lo"), (2, "eth0")])
    assert loopback() == {"GLOO_SOCKET_IFNAME": "lo"}
    monkeypatch.setattr(process.socket, "if_nameindex", lambda: [(2, "eth0")])
    assert loopback() == {}
    monkeypatch.delattr(process.socket, "if_nameindex")
    assert loopback() == {}
