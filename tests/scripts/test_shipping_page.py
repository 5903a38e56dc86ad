"""The page of shipping goals is computed from what was measured."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

page = importlib.import_module("shipping.page")


def form(target: str, model: str, accuracy: float = 0.9963, **changes: Any) -> dict[str, Any]:
    verification = {
        "images": 10000,
        "same_labels": 10000,
        "largest_logit_difference": 1e-5,
        "accuracy": accuracy,
        "pytorch_accuracy": 0.9963,
        "milliseconds": 0.05,
        "pytorch_milliseconds": 0.4,
    }
    return {
        "target": target,
        "model": model,
        "bytes": {model: 1000},
        "budget": {"weight_bytes": 8422, "arena_bytes": 11368, "stack_bytes": 384},
        "verification": verification | changes,
        "note": None,
    }


def write(folder: Path, recipe: str, *forms: dict[str, Any]) -> None:
    content = {
        "recipe": recipe,
        "run": recipe,
        "parameters": 7430,
        "epochs": 30,
        "forms": list(forms),
        "printed": "",
        "date": "2026-01-01",
        "environment": {},
    }
    (folder / f"export-{recipe}.json").write_text(json.dumps(content), encoding="utf-8")


def row(text: str, begins: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {begins}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_nothing_measured(tmp_path: Path) -> None:
    text = page.shipping(tmp_path)
    assert row(text, "ONNX: test")[2:] == ["–", "not yet measured"]
    assert text.count("not yet measured") == 13


def test_the_worst_network_counts(tmp_path: Path) -> None:
    write(tmp_path, "one", form("onnx", "one"), form("html", "one"))
    write(tmp_path, "two", form("onnx", "two", same_labels=9999), form("html", "two"))
    text = page.shipping(tmp_path)
    assert row(text, "ONNX: test")[2:] == ["9,999; 1.0e-05", "no"]
    assert row(text, "HTML page")[2:] == ["10,000; 1.0e-05", "yes"]


def test_int8(tmp_path: Path) -> None:
    write(tmp_path, "kilonet-8k", form("c-int8", "x", 0.9950), form("onnx-int8", "x", 0.9958))
    text = page.shipping(tmp_path)
    assert row(text, "C in int8: accuracy")[2:] == ["`kilonet-8k` 0.13", "no"]
    assert row(text, "ONNX in int8")[2:] == ["`kilonet-8k` 0.05", "yes"]
    said = row(text, "C in int8, near")
    assert said[2:] == ["8,422 bytes at 99.50 % (11,368 bytes)", "yes"]


@pytest.mark.parametrize(("faults", "met"), [([], "yes"), (["a 500"], "no")])
def test_hostile_requests(tmp_path: Path, faults: list[str], met: str) -> None:
    found = {"requests": 10_000, "faults": faults}
    (tmp_path / "fuzz.json").write_text(json.dumps(found), encoding="utf-8")
    said = f"{len(faults) or 'none'} of 10,000"
    assert row(page.shipping(tmp_path), "hostile requests")[2:] == [said, met]


def test_the_service(tmp_path: Path) -> None:
    load = {
        "requests": 33000,
        "seconds": 30.0,
        "refused": 0,
        "lost": 0,
        "p50_ms": 50.0,
        "p99_ms": 120.0,
        "longest_ms": 300.0,
        "client_cores": 0.2,
        "front_cores": 0.6,
        "worker_cores": 1.1,
    }
    memory = [{"requests": 5000, "bytes": 200_000_000}, {"requests": 100_500, "bytes": 230_000_000}]
    found = {
        "model": "kilonet-8k",
        "workers": 2,
        "connections": 64,
        "busy": 0.0,
        "load": load,
        "memory": memory,
        "date": "2026-01-01",
        "environment": {},
    }
    (tmp_path / "service.json").write_text(json.dumps(found), encoding="utf-8")
    text = page.shipping(tmp_path)
    assert row(text, "service, loopback")[2:] == ["1,100; none; 120", "yes"]
    assert row(text, "its memory")[2:] == ["200 MB, then 230 MB after 100,500", "no"]
