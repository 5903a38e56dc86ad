"""The function's answers: every way to send a picture, and every way to get it wrong."""

from __future__ import annotations

import base64
import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from functions import gateway_1, gateway_2
from networks import example

import kilonet
from kilonet.exports.aws.run import png

Event = Callable[..., dict[str, Any]]
EVENTS = pytest.mark.parametrize("event", [gateway_1, gateway_2])


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The handler with a model beside it, as in the archive."""
    folder = tmp_path_factory.mktemp("function")
    shutil.copy(example("simple-8k").path, folder / "model.onnx")
    source = Path(kilonet.__file__).parent / "exports" / "aws" / "function" / "handler.py"
    shutil.copy(source, folder)
    spec = importlib.util.spec_from_file_location("handler", folder / "handler.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def seven() -> npt.NDArray[np.uint8]:
    grey = np.full((60, 50), 230, np.uint8)
    grey[10:16, 8:42] = 30
    for i in range(38):
        grey[14 + i, 36 - i // 2 : 42 - i // 2] = 30
    return grey


def expected() -> dict[str, Any]:
    return dict(kilonet.reader(example("simple-8k").path).predict(seven()).to_json())


def answer(function: ModuleType, event: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    found = function.handler(event, None)
    content = json.loads(found["body"])
    problem = found["statusCode"] != 200
    kind = "application/problem+json" if problem else "application/json"
    assert found["headers"]["content-type"] == kind
    assert not found["isBase64Encoded"]
    if problem:
        assert content["status"] == found["statusCode"]
        assert {"title", "detail"} <= {*content}
    return found["statusCode"], content


@EVENTS
@pytest.mark.parametrize("kind", ["image/png", "application/octet-stream", None])
def test_the_bytes_of_a_picture(function: ModuleType, event: Event, kind: str | None) -> None:
    assert answer(function, event(png(seven()), kind)) == (200, expected())


@EVENTS
@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8"])
def test_json(function: ModuleType, event: Event, kind: str) -> None:
    image = json.dumps({"image": base64.b64encode(png(seven())).decode()})
    assert answer(function, event(image, kind)) == (200, expected())
    assert answer(function, event(image.encode(), kind)) == (200, expected())
    pixels = json.dumps({"pixels": seven().tolist()})
    assert answer(function, event(pixels, kind)) == (200, expected())


@pytest.mark.parametrize(
    ("body", "kind", "status", "said"),
    [
        (None, "image/png", 400, "has no body"),
        (b"", "image/png", 400, "has no body"),
        (b"{", "application/json", 400, "is not JSON"),
        (b"\xff", "application/json", 400, "is not JSON"),
        (b"[" * 100_000, "application/json", 400, "is not JSON"),
        (b"[]", "application/json", 422, "The JSON must be"),
        (b'{"image": 3}', "application/json", 422, "The JSON must be"),
        (b'{"image": "!"}', "application/json", 400, "base64"),
        (b'{"image": "\xc3\xa4"}', "application/json", 400, "base64"),
        (b'{"pixels": [[1, 2], [3]]}', "application/json", 422, "rows of one length"),
        (b'{"pixels": [[1, 256]]}', "application/json", 422, "0 to 255"),
        (b'{"pixels": [[0.5]]}', "application/json", 422, "whole numbers"),
        (b'{"pixels": [["a"]]}', "application/json", 422, "whole numbers"),
        (b'{"pixels": [[99999999999999999999]]}', "application/json", 422, "0 to 255"),
        (b'{"pixels": []}', "application/json", 422, "rows of one length"),
        (b"a=b", "application/x-www-form-urlencoded", 415, "application/x-www-form-urlencoded;"),
        (b"nonsense", "image/png", 422, "cannot be read as a picture"),
    ],
)
def test_problems(
    function: ModuleType, body: bytes | None, kind: str, status: int, said: str
) -> None:
    for event in (gateway_1, gateway_2):
        found, content = answer(function, event(body, kind))
        assert found == status
        assert said in content["detail"]


def test_what_is_wrong_with_a_picture_is_told(function: ModuleType) -> None:
    status, content = answer(function, gateway_2(png(np.full((50, 50), 200, np.uint8))))
    assert (status, content["kind"]) == (422, "blank")
    two = np.hstack([seven(), seven()])
    status, content = answer(function, gateway_2(png(two)))
    assert (status, content["kind"]) == (422, "several")
    assert content["detail"] == "The picture shows 2 digits, and one was expected. Send each alone."


def test_too_many_pixels(function: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    from kilonet.preprocessing.errors import TooLargeError

    def refuse(_: object) -> None:
        raise TooLargeError("The picture", 9_000, 9_000, "at most 64,000,000 are allowed")

    monkeypatch.setattr(function.reader, "predict", refuse)
    status, content = answer(function, gateway_2(b"x"))
    assert (status, content["kind"]) == (413, "too-large")


def test_what_is_no_post(function: ModuleType) -> None:
    event = gateway_1(None) | {"httpMethod": "GET"}
    found = function.handler(event, None)
    assert (found["statusCode"], found["headers"]["allow"]) == (405, "POST")
    status, content = answer(function, {"image": "x"})
    assert (status, content["detail"]) == (400, "This event is not an HTTP request.")


def test_a_failure_of_its_own_is_logged_not_told(
    function: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(function.reader, "predict", fail)
    status, content = answer(function, gateway_2(b"x"))
    assert (status, content["detail"]) == (500, "The function failed.")
    assert "RuntimeError: secret" in capsys.readouterr().err
