"""The routes, over HTTP."""

from __future__ import annotations

import base64
import hashlib
import os
import signal
import time
from pathlib import Path

import httpx
import numpy as np
import pytest

from classifier import ring
from kilonet.inference import Reader
from kilonet.preprocessing import prepare
from service import live

PNG = {"content-type": "image/png"}
KEY = "correct-horse-battery"


def test_every_form_of_one_picture(client: httpx.Client, zero: bytes, model: Path) -> None:
    expected = Reader(model).predict(zero).to_json()
    text = base64.b64encode(zero).decode()
    answers = [
        client.post("/predict", content=zero, headers=PNG),
        client.post("/predict", content=zero, headers={"content-type": "application/octet-stream"}),
        client.post("/predict", files={"picture": zero}),
        client.post("/predict", json={"picture": text}),
        client.post("/predict", json={"pixels": prepare(zero).tolist()}),
    ]
    for answer in answers:
        assert answer.status_code == 200, answer.text
        found = answer.json()
        probabilities, used = found.pop("probabilities"), found.pop("model")
        assert used["name"] in (model.stem, model.parent.name)
        assert used["version"] == hashlib.sha256(model.read_bytes()).hexdigest()[:12]
        assert found == expected
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert max(probabilities, key=probabilities.__getitem__) == "0"


def test_batches(client: httpx.Client, zero: bytes) -> None:
    text = base64.b64encode(zero).decode()
    pixels = prepare(zero).tolist()
    good = [{"pictures": [text, "QUJD", text]}, {"pixels": [pixels, [[0] * 28] * 28, pixels]}]
    answers = [client.post("/predict", json=body) for body in good]
    files = [("pictures", zero), ("pictures", b"damaged"), ("pictures", zero)]
    answers.append(client.post("/predict", files=files))
    for answer in answers:
        assert answer.status_code == 200
        assert answer.json()["model"]["version"]
        first, second, third = answer.json()["results"]
        assert first["digit"] == third["digit"] == "0"
        assert second["error"] in ("unreadable", "blank")
        assert second["message"]


def test_unsure(client: httpx.Client, zero: bytes) -> None:
    for least, unsure in (("0", False), ("1", True)):
        answer = client.post(f"/predict?min_confidence={least}", content=zero, headers=PNG)
        assert answer.json()["unsure"] is unsure


@pytest.mark.parametrize("query", ["min_confidense=0.9", "min-confidence=0.9", "x", "%00=1"])
def test_unknown_parameters_are_refused(client: httpx.Client, zero: bytes, query: str) -> None:
    answer = client.post(f"/predict?min_confidence=0&{query}", content=zero, headers=PNG)
    assert (answer.status_code, answer.json()["reason"]) == (422, "invalid")
    assert query.partition("=")[0].replace("%00", "\0") in answer.json()["detail"]


@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [(b"", 422, "unreadable"), (b"nonsense", 422, "unreadable"), (None, 422, "several")],
)
def test_a_picture_that_is_refused(
    client: httpx.Client, tmp_path: Path, content: bytes | None, status: int, reason: str
) -> None:
    if content is None:
        content = ring(tmp_path / "row.png", count=3).read_bytes()
    answer = client.post("/predict", content=content, headers=PNG)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)


def test_limits(client: httpx.Client, tmp_path: Path, zero: bytes) -> None:
    from PIL import Image

    Image.fromarray(np.zeros((400, 400), dtype=np.uint8)).save(tmp_path / "large.png")
    large = client.post("/predict", content=(tmp_path / "large.png").read_bytes(), headers=PNG)
    assert (large.status_code, large.json()["reason"]) == (413, "too-large")
    many = client.post("/predict", files=[("pictures", zero)] * 5)
    assert (many.status_code, many.json()["reason"]) == (413, "batch")
    kind = client.post("/predict", data={"picture": "x"})
    assert (kind.status_code, kind.json()["reason"]) == (415, "media-type")


def test_health(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}


def test_the_key_guards_predictions_and_metrics(model: Path, zero: bytes, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    with (
        live(model, "--api-key-file", str(tmp_path / "key")) as service,
        service.client() as client,
    ):
        for answer in (client.get("/metrics"), client.post("/predict", content=zero, headers=PNG)):
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
        right = {"authorization": f"Bearer {KEY}"}
        assert client.get("/metrics", headers=right).status_code == 200
        assert client.post("/predict", content=zero, headers=PNG | right).status_code == 200
        for path in ("/", "/docs", "/healthz", "/readyz"):
            assert client.get(path).status_code == 200
        assert KEY not in " ".join(map(str, service.log()))


def test_readiness_follows_the_workers(model: Path, zero: bytes) -> None:
    with live(model) as service, service.client() as client:
        assert client.get("/readyz").status_code == 200
        os.kill(service.workers()[0], signal.SIGKILL)
        seen = set()
        until = time.monotonic() + 60
        while time.monotonic() < until and seen != {200, 503}:
            answer = client.get("/readyz")
            seen.add(answer.status_code)
            if answer.status_code == 503:
                assert answer.headers["retry-after"] == "1"
                assert client.get("/healthz").status_code == 200
        assert seen == {200, 503}
        answer = client.post("/predict", content=zero, headers=PNG)
        assert answer.json()["digit"] == "0"
