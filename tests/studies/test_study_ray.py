"""A study on a real Ray cluster of local processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from study_process import PATIENCE, StudyProcess, results

from kilonet.cli.app import run as kilonet
from kilonet.errors import StudyError, UsageError
from kilonet.studies.ray_executor import find_cluster, pack, unpack

LINE = (
    "quick", 'model.layers="c6 M p4 c8 M"', "data.name=digits", "training.epochs=5",
    "constraints=off", "--vary", "optimizer.name=adam,sgd", "--seeds", "2",
)  # fmt: skip
QUIET = {"RAY_worker_niceness": "0", "RAY_USAGE_STATS_ENABLED": "0"}


FLAT = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(784, 10))
"""
FLAT_RECIPE = """
data.name = "digits"
model.name = "flat:Net"
optimizer = {name = "adam", lr = 0.01}
training = {epochs = 1, threads = 1}
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a cluster with two workers."""
    port = free_port()
    words = ["--head", "--node-ip-address=127.0.0.1", f"--port={port}", "--num-cpus=2", "--block"]
    words += ["--include-dashboard=false", "--object-store-memory=100000000"]
    said = tmp_path_factory.mktemp("ray") / "said.txt"
    with said.open("w") as output:
        started = subprocess.Popen(
            [Path(sys.executable).parent / "ray", "start", *words],
            env={**os.environ, **QUIET},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    until = time.monotonic() + PATIENCE
    while "Ray runtime started" not in said.read_text(encoding="utf-8"):
        assert time.monotonic() < until
        assert started.poll() is None, said.read_text(encoding="utf-8")
        time.sleep(0.2)
    yield f"127.0.0.1:{port}"
    started.terminate()
    started.wait(60)


def busy_workers() -> list[int]:
    """Return the processes of Ray's workers that make a run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                title = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if title.startswith(b"ray::make_and_pack"):
                found.append(int(entry.name))
    return found


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc")
def test_results_equal_local_ones_although_a_worker_is_killed(cluster: str, tmp_path: Path) -> None:
    studies = tmp_path / "studies"
    assert StudyProcess(studies, *LINE, "--name", "here").wait() == 0
    study = StudyProcess(studies, *LINE, "--name", "there", "--on", "ray", "--address", cluster)
    until = time.monotonic() + PATIENCE
    while not (workers := busy_workers()):
        assert time.monotonic() < until
        time.sleep(0.02)
    os.kill(workers[0], signal.SIGKILL)
    assert study.wait() == 0
    assert "lost its worker" in (tmp_path / "log.txt").read_text(encoding="utf-8")
    assert results(studies / "there") == results(studies / "here")
    runs = studies / "there" / "runs"
    assert sorted(path.name for path in runs.iterdir()) == [
        "adam-s0",
        "adam-s1",
        "sgd-s0",
        "sgd-s1",
    ]
    assert all((path / "report.html").exists() for path in runs.iterdir())


@pytest.mark.slow
def test_workers_find_a_network_of_ones_own_and_run_nothing_else(
    cluster: str, tmp_path: Path
) -> None:
    """They import what the recipe names from the current directory, and nothing beside it."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "flat.py").write_text(FLAT, encoding="utf-8")
    (folder / "flat.toml").write_text(FLAT_RECIPE, encoding="utf-8")
    for name in ("traceback", "numpy", "tarfile"):
        planted = f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r})\nraise SystemExit"
        (folder / f"{name}.py").write_text(planted, encoding="utf-8")
    command = [Path(sys.executable).parent / "kilonet", "study", "flat.toml"]
    words = ["--seeds", "1", "--name", "own"]
    done = subprocess.run(
        [*command, *words, "--on", "ray", "--address", cluster],
        check=False,
        cwd=folder,
        env={**os.environ, "KILONET_STUDIES": str(tmp_path / "studies")},
        capture_output=True,
        text=True,
    )
    assert not (tmp_path / "ran").exists()
    assert done.returncode == 0, done.stderr
    assert "1 of 1 runs" in done.stdout + done.stderr


def test_nothing_answers(capsys: pytest.CaptureFixture[str]) -> None:
    began, port = time.monotonic(), free_port()
    words = ["study", "quick", "data.name=digits", "--on", "ray"]
    assert kilonet([*words, "--address", f"127.0.0.1:{port}"]) == 1
    assert f"No Ray cluster answers at 127.0.0.1:{port}." in capsys.readouterr().err
    assert time.monotonic() - began < 60  # on a busy machine; the wait itself is at most 10


def test_something_else_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("kilonet.studies.ray_executor.CONNECT_SECONDS", 0.2)
            with pytest.raises(StudyError, match=f"No Ray cluster answers at 127.0.0.1:{port}"):
                find_cluster(f"127.0.0.1:{port}")


@pytest.mark.parametrize("address", ["foo", "host:", ":6379", "host:port", "host:99999"])
def test_a_wrong_address(address: str) -> None:
    with pytest.raises(UsageError, match="is not an address of a Ray cluster"):
        find_cluster(address)


def test_an_archive_replaces_the_folder(tmp_path: Path) -> None:
    away, home = tmp_path / "away", tmp_path / "home" / "run"
    home.mkdir(parents=True)
    (home / "half.done").write_text("x", encoding="utf-8")
    away.mkdir()
    (away / "a.txt").write_text("é", encoding="utf-8")
    unpack(pack(away), home)
    assert [(path.name, path.read_text(encoding="utf-8")) for path in home.iterdir()] == [
        ("a.txt", "é")
    ]
    assert [path.name for path in home.parent.iterdir()] == ["run"]


def test_a_damaged_archive_leaves_what_is_there(tmp_path: Path) -> None:
    home = tmp_path / "run"
    home.mkdir()
    with pytest.raises(Exception, match="file"):
        unpack(b"nonsense", home)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
