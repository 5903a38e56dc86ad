"""The command as a process: standard streams that fail, and signals at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TextIO

import pytest
from PIL import Image
from sklearn.datasets import load_digits

from kilonet.cli.app import run
from kilonet.runs.find import open_run
from kilonet.workflows import finish

FULL = "Error: Cannot write the output: No space left on device.\n"
NOTE = "Note: the work goes on, but its output cannot be written: {}.\n"
RESULTS = [
    ["--help"],
    ["--version"],
    ["recipes"],
    ["recipes", "show", "quick"],
    ["recipes", "copy", "quick"],
    ["models"],
    ["models", "--json"],
    ["runs"],
    ["runs", "--json"],
    ["runs", "--csv"],
    ["data"],
    ["summary", "quick"],
    ["check", "kilonet-25k"],
    ["predict", "digit.png"],
    ["predict", "--json", "digit.png"],
]
TRAIN = ["train", "gap-14k", "data.name=digits", "training.epochs=1", "training.kernels=torch"]


def stream(kind: str) -> TextIO:
    """Return a full disk, or a pipe whose reader has ended."""
    if kind == "full":
        return Path("/dev/full").open("w")
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w")


@pytest.mark.parametrize("kind", ["full", "pipe"])
@pytest.mark.parametrize("words", RESULTS, ids=" ".join)
def test_results_that_cannot_be_written(
    words: list[str],
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    image = (255 - load_digits().images[0] * 15).astype("uint8")
    Image.fromarray(image).resize((80, 80)).save("digit.png")
    with stream(kind) as out:
        monkeypatch.setattr(sys, "stdout", out)
        status = run(words)
    assert (status, capsys.readouterr().err) == ((1, FULL) if kind == "full" else (0, ""))


@pytest.mark.parametrize("kind", ["full", "pipe"])
def test_messages_that_cannot_be_written(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with stream(kind) as err:
        monkeypatch.setattr(sys, "stderr", err)
        assert run(["trian"]) == 2


@pytest.mark.parametrize(
    ("kind", "reason"), [("full", "No space left on device"), ("pipe", "Broken pipe")]
)
def test_a_training_goes_on_without_output(
    kind: str,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(finish, "export_onnx", lambda *_: None)  # they take longer than the rest
    monkeypatch.setattr(finish, "write_report", lambda *_: None)
    with stream(kind) as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert run([*TRAIN, "--out", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().err == NOTE.format(reason)
    assert open_run(tmp_path / "run").finished


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(closed: str, tmp_path: Path) -> None:
    command = f'"$0" -m kilonet recipes copy quick {closed}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable], cwd=tmp_path, capture_output=True, check=True
    )
    assert done.stderr == b""
    assert "[model]" in (tmp_path / "quick.toml").read_text()


# Sends a signal to itself when a module is imported for the first time.
SIGNALS = """
import os, signal, sys, time
import kilonet.cli

class Finder:
    def find_spec(self, name, *_):
        if name == sys.argv[1]:
            os.kill(os.getpid(), int(sys.argv[2]))
            time.sleep(float(sys.argv[3]))

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
if sys.argv[3] != "0":
    kilonet.cli.PATIENCE = 0.1
sys.meta_path.insert(0, Finder())
kilonet.cli.main(sys.argv[4:])
"""
TRAINING = "train quick data.name=digits training.epochs=1000"
MODULES = [
    ("kilonet.cli.app", TRAINING),
    ("kilonet.recipe.schema", TRAINING),
    ("numpy._core.multiarray", "predict bar.png"),
    ("onnxruntime", "predict bar.png"),
]


@pytest.mark.parametrize(("module", "words"), MODULES)
def test_ctrl_c_during_an_import(
    module: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bar = Image.new("L", (200, 200), 255)
    bar.paste(0, (90, 40, 110, 160))
    bar.save("bar.png")
    assert stopped(module, signal.SIGINT, 0, words) in (130, -signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert stopped("kilonet.recipe.schema", number, 0, TRAINING) == 128 + number


def test_an_import_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert stopped("kilonet.recipe.schema", signal.SIGINT, 60, TRAINING) == 130


def stopped(module: str, number: int, seconds: int, words: str) -> int:
    """Return the exit status of a command that a signal stops, with one line and no traceback."""
    command = [sys.executable, "-c", SIGNALS, module, str(int(number)), str(seconds)]
    done = subprocess.run([*command, *words.split()], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("", "Error: Stopped.\n")
    return done.returncode


HANDLER = """
import signal, sys, time
import kilonet.cli

signal.signal(signal.SIGHUP, signal.SIG_IGN)
kilonet.cli.PATIENCE = 0.1
kilonet.cli.StopHandler()
signal.raise_signal(signal.SIGHUP)
try:
    signal.raise_signal(signal.SIGTERM)
except KeyboardInterrupt:
    print("raised")
    signal.raise_signal(signal.SIGINT)
    print("not raised again")
    time.sleep(0.2)
    sys.stdout.flush()
    signal.raise_signal(signal.SIGINT)
    time.sleep(60)
"""


BLOCKED = """
import ctypes, os, signal, threading, time
import kilonet.cli

kilonet.cli.PATIENCE = 0.1
kilonet.cli.StopHandler()
def send():
    for _ in range(2):
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=send, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # another thread receives it
ctypes.CDLL(None).sleep(60)
"""


def test_a_second_signal_ends_a_process_that_compiled_code_blocks() -> None:
    done = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, check=False)
    assert done.stderr == b"Error: Stopped.\n"
    assert done.returncode == 128 + signal.SIGINT


def test_a_second_signal_ends_the_process_at_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANDLER], capture_output=True, text=True, check=False
    )
    assert done.stdout == "raised\nnot raised again\n"
    assert done.stderr == "Error: Stopped.\n"
    assert done.returncode == 128 + signal.SIGTERM
