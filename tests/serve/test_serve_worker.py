"""A worker, in this process and in one of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from kilonet.inference import model as model_module
from kilonet.inference.model import OnnxSession
from kilonet.preprocessing import prepare
from kilonet.serve import wire
from kilonet.serve.worker import read


def test_a_group_is_read_together_each_with_its_own_outcome(model: Path, zero: bytes) -> None:
    pictures = [
        wire.Picture("file", zero),
        wire.Picture("file", b"nonsense"),
        wire.Picture("pixels", bytes(784)),
        wire.Picture("file", zero),
    ]
    first, second, third, fourth = read(OnnxSession(model), pictures, 100_000)
    assert isinstance(first, tuple)
    assert first == pytest.approx(fourth)
    assert first.index(max(first)) == 0
    assert isinstance(second, wire.Refusal)
    assert second.kind == "unreadable"
    assert isinstance(third, wire.Refusal)
    assert third.kind == "blank"


def test_too_many_pixels(model: Path, zero: bytes) -> None:
    (outcome,) = read(OnnxSession(model), [wire.Picture("file", zero)], 1000)
    assert isinstance(outcome, wire.Refusal)
    assert outcome.kind == "too-large"


def started(model: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "kilonet.serve.worker", str(model), "100000"]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_it_lives_until_its_input_ends_whatever_signals_come(model: Path, zero: bytes) -> None:
    with started(model) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        hello = process.stdout.read(*wire.LENGTH.unpack(process.stdout.read(wire.LENGTH.size)))
        assert json.loads(hello) == {"classes": list("0123456789")}
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        process.stdin.write(wire.pack_pictures([wire.Picture("file", zero)]))
        process.stdin.close()
        (length,) = wire.LENGTH.unpack(process.stdout.read(wire.LENGTH.size))
        assert len(wire.unpack_outcomes(process.stdout.read(length))) == 1
        assert process.wait(60) == 0


def test_a_model_that_cannot_be_loaded(tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no model")
    with started(bad) as process:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 1
    assert "is not an ONNX file that can be run" in json.loads(out[wire.LENGTH.size :])["error"]


def test_a_mistake_of_ours_spoils_one_picture(
    model: Path, zero: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(source: bytes, **_: int) -> npt.NDArray[np.uint8]:
        if source == b"trap":
            raise ZeroDivisionError
        return prepare(source)

    monkeypatch.setattr(model_module, "prepare", fails)
    trap, right = read(
        OnnxSession(model), [wire.Picture("file", b"trap"), wire.Picture("file", zero)], 100_000
    )
    assert isinstance(trap, wire.Refusal)
    assert trap.kind == "unprepared"
    assert isinstance(right, tuple)
    assert "ZeroDivisionError" in json.loads(capsys.readouterr().err)["traceback"]
