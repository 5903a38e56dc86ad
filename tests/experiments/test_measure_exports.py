"""A form that is measured again takes the place of what was measured of it, and nothing else's."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import kilonet
from kilonet.errors import RunError

ROOT = Path(__file__).resolve().parents[2]

measure_exports = importlib.import_module("measure_exports")

BEFORE = {"run": "one", "forms": [{"target": "c"}, {"target": "html", "bytes": 2}], "date": "then"}


def again(run: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    form = SimpleNamespace(to_json=lambda: {"target": "html", "bytes": 1})
    monkeypatch.setattr(kilonet, "export", lambda *_, **__: form)
    found: dict[str, Any] = measure_exports.measure_again(
        SimpleNamespace(name=run), "html", Path(), BEFORE
    )
    return found


def test_the_other_forms_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    found = again("one", monkeypatch)
    assert found["forms"] == [{"target": "c"}, {"target": "html", "bytes": 1}]
    assert found["date"] == "then"
    assert set(found["again"]["html"]) == {"date", "environment"}


def test_another_run_is_not_mixed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RunError, match="two was not measured, but one was"):
        again("two", monkeypatch)
