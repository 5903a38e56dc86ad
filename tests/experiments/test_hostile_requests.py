"""A few hundred hostile requests; measure_service.py attack sends any number."""

from __future__ import annotations

import importlib
from pathlib import Path

from classifier import write_classifier
from service import live

ROOT = Path(__file__).resolve().parents[2]

hostile = importlib.import_module("hostile_requests")
attack = importlib.import_module("measure_service")

KINDS = {"truncated", "damaged", "lying", "noise", "bomb", "json", "form", "request", "raw"}


def test_the_same_seed_is_the_same_requests() -> None:
    first, second = (list(hostile.hostile(3, 200)) for _ in range(2))
    assert first == second
    assert {request.kind for request in first} == KINDS
    assert first != list(hostile.hostile(4, 200))


def test_a_service_under_attack(tmp_path: Path) -> None:
    model = write_classifier(tmp_path / "templates.onnx")
    with live(model, "--body-seconds", "1") as service:
        found = attack.attack("127.0.0.1", service.port, hostile.hostile(1, 300))
        assert found.faults == []
        assert {kind for kind, _ in found.responses} == KINDS | {"right"}
        assert [line for line in service.log() if line["level"] == "error"] == []
        assert service.stop() == 0


def test_what_is_judged_a_fault() -> None:
    found = attack.Judgement()
    problem = {"content-type": "application/problem+json"}
    found.judge("a", 500, problem, b"{}")
    found.judge("b", 503, problem, b'{"status": 503, "detail": "x", "reason": "y"}')
    found.judge("c", 404, {"content-type": "text/plain"}, b"")
    found.judge("d", 404, problem, b'{"status": 400, "detail": "x", "reason": "y"}')
    found.judge("e", 404, problem, b'{"status": 404, "detail": "x", "reason": "y"}')
    assert [fault[0] for fault in found.faults] == ["a", "b", "c", "d"]
