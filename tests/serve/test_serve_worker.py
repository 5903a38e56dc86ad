"""A worker, in this process and in one of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from kilonet.inference import model as model_module
from kilonet.inference.model import Classification, OnnxSession
from kilonet.preprocessing.decode import decode_grey
from kilonet.preprocessing.prepare import PreparedPicture, prepare_picture
from kilonet.serve import messages, worker
from kilonet.serve.messages import Refusal, RequestPicture
from kilonet.serve.worker import GROUP_SECONDS, predict


def test_pictures_of_a_group_have_their_own_results(
    model: Path, zero: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "GROUP_SECONDS", 60)
    pictures = [
        RequestPicture("file", zero),
        RequestPicture("file", b"nonsense"),
        RequestPicture("pixels", bytes(784)),
        RequestPicture("file", zero),
    ]
    first, second, third, fourth = predict(OnnxSession(model), pictures, 100_000)
    assert isinstance(first, Classification)
    assert isinstance(fourth, Classification)
    assert first.probabilities == pytest.approx(fourth.probabilities)
    assert first.probabilities.index(max(first.probabilities)) == 0
    assert isinstance(second, Refusal)
    assert second.kind == "unreadable"
    assert isinstance(third, Refusal)
    assert third.kind == "blank"


def test_too_many_pixels(model: Path, zero: bytes) -> None:
    (result,) = predict(OnnxSession(model), [RequestPicture("file", zero)], 1000)
    assert isinstance(result, Refusal)
    assert result.kind == "too-large"


def wait_in(module: object, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a preparation take ``seconds`` of CPU time in which every error is caught."""

    def slow(source: bytes, **_: int) -> PreparedPicture:
        until = time.process_time() + seconds
        try:
            while time.process_time() < until:
                pass
        except Exception:
            raise ZeroDivisionError from None
        return prepare_picture(source)

    monkeypatch.setattr(module, "prepare_picture", slow)


def test_slow_pictures_leave_the_rest_of_their_group_for_later(
    model: Path, zero: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_in(model_module, GROUP_SECONDS, monkeypatch)
    found = predict(OnnxSession(model), [RequestPicture("file", zero)] * 4, 100_000)
    assert len(found) == 1
    assert isinstance(found[0], Classification)


@pytest.mark.parametrize("limit", [0.01, 0.1])
def test_a_picture_that_takes_too_long_is_refused(
    model: Path, zero: bytes, limit: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = OnnxSession(model)
    began = time.process_time()
    with monkeypatch.context() as slow:
        wait_in(model_module, 30, slow)
        (refused,) = predict(session, [RequestPicture("file", zero)], 100_000, limit)
    assert isinstance(refused, Refusal)
    assert refused.kind == "too-slow"
    assert time.process_time() - began < 5
    (right,) = predict(session, [RequestPicture("file", zero)], 100_000, 5)
    assert isinstance(right, Classification)


def started(model: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "kilonet.serve.worker", str(model), "100000", "5"]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def message(stream: IO[bytes]) -> bytes:
    return stream.read(*messages.LENGTH.unpack(stream.read(messages.LENGTH.size)))


def test_it_runs_until_stdin_ends_and_ignores_signals(model: Path, zero: bytes) -> None:
    with started(model) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        version = OnnxSession(model).version
        assert json.loads(message(process.stdout)) == {
            "classes": list("0123456789"),
            "version": version,
        }
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        process.stdin.write(messages.pack_pictures([RequestPicture("file", zero)]))
        process.stdin.close()
        assert json.loads(message(process.stdout)) == [decode_grey(zero).grey.size]
        assert len(messages.unpack_results(message(process.stdout))) == 1
        assert process.wait(60) == 0


def test_a_model_that_cannot_be_loaded(tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no model")
    with started(bad) as process:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 1
    assert "is not an ONNX file that can be run" in json.loads(out[messages.LENGTH.size :])["error"]


def test_a_bug_fails_only_its_own_picture(
    model: Path, zero: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(source: bytes, **_: int) -> PreparedPicture:
        if source == b"trap":
            raise ZeroDivisionError
        return prepare_picture(source)

    monkeypatch.setattr(model_module, "prepare_picture", fails)
    trap, right = predict(
        OnnxSession(model),
        [RequestPicture("file", b"trap"), RequestPicture("file", zero)],
        100_000,
    )
    assert isinstance(trap, Refusal)
    assert trap.kind == "unprepared"
    assert isinstance(right, Classification)
    assert "ZeroDivisionError" in json.loads(capsys.readouterr().err)["traceback"]
