"""The page of studies says what was measured, and no more."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from kilonet.errors import RunError

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

page = importlib.import_module("studies.page")

EXAMPLE = {"command": "kilonet study quick", "seconds": 41.2, "said": "quick reached 97 %."}
EMPTY = "<!-- example:begin -->\n<!-- example:end -->\n<!-- goals:begin -->\n<!-- goals:end -->\n"


def changed(folder: Path, **found: Any) -> str:
    (folder / "studies.json").write_text(json.dumps({"example": EXAMPLE, **found}))
    text: str = page.changed(EMPTY, folder)
    return text


def test_the_example_is_shown_as_it_was_said(tmp_path: Path) -> None:
    text = changed(tmp_path)
    assert "```console\n$ kilonet study quick\nquick reached 97 %.\n```" in text
    assert page.changed(text, tmp_path) == text


def test_goals_that_were_met(tmp_path: Path) -> None:
    text = changed(
        tmp_path,
        killed={"runs": 20, "kills": 10, "same_table": True},
        overhead={"ratios": [1.01, 1.02]},
        ray={"speedup": 1.9},
    )
    assert text.count("| yes |") == 4
    assert "+1.0 % and +2.0 %" in text


def test_goals_that_were_not(tmp_path: Path) -> None:
    text = changed(
        tmp_path,
        example={**EXAMPLE, "seconds": 61},
        killed={"runs": 20, "kills": 10, "same_table": False},
        overhead={"ratios": [1.01, 1.08]},
        ray={"speedup": 1.7},
        plain={"speedup": 1.75},
    )
    assert text.count("| no |") == 4
    assert "1.70×; two plain processes against one: 1.75×" in text


def test_what_is_missing(tmp_path: Path) -> None:
    assert changed(tmp_path).count("not yet measured") == 3
    with pytest.raises(RunError, match="has no place for example"):
        page.changed("", tmp_path)
    (tmp_path / "studies.json").unlink()
    with pytest.raises(RunError, match="measure_studies"):
        page.changed(EMPTY, tmp_path)


def test_the_page_in_docs_is_that_of_the_results() -> None:
    assert page.main(["--check"]) == 0
