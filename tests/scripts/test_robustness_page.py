"""The tables of docs/robustness.md are those of the stored results."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from kilonet.evaluation.distortions import DISTORTIONS
from kilonet.evaluation.robustness import Estimate, Robustness, RobustnessCell
from kilonet.workflows.robustness import RobustnessReport
from kilonet.workflows.run import Run
from trained import start_run

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

page = importlib.import_module("robustness.page")


def test_the_page_shows_the_stored_results() -> None:
    assert page.main(["--check"]) == 0, "run python scripts/robustness/page.py"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository of the page and no results."""
    for name in ("docs", "results"):
        (tmp_path / name).mkdir()
    text = f"Before\n{page.BEGIN}\nold\n{page.END}\nAfter\n"
    (tmp_path / "docs" / "robustness.md").write_text(text, encoding="utf-8")
    return tmp_path


def store(root: Path, seed: int, alone: float, *words: str) -> Path:
    """Store a result such as the command writes."""
    cells = tuple(
        RobustnessCell(k.name, s, 4_000, 9_000, 1) for k in DISTORTIONS for s in k.strengths
    )
    undistorted = RobustnessCell(None, 0, 9_900, 9_890, 0)
    found = Robustness(10_000, undistorted, cells, Estimate(alone, 0.01), Estimate(0.9, 0.01))
    run = Run(start_run("data.name=mnist", f"training.seed={seed}", *words))
    path = root / "results" / f"robustness-quick-{seed}.json"
    content = RobustnessReport(run, "test", 10_000, found, 22_214, "cpu").to_json()
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def shown(root: Path) -> str:
    assert page.main(["--root", str(root)]) == 0
    assert page.main(["--check", "--root", str(root)]) == 0
    return (root / "docs" / "robustness.md").read_text(encoding="utf-8")


def test_without_results_the_page_says_so(root: Path) -> None:
    assert shown(root) == f"Before\n{page.BEGIN}\n\n{page.NOTHING}\n\n{page.END}\nAfter\n"


def test_seeds_of_a_recipe_are_a_row(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store(root, 0, 0.4)
    assert page.main(["--check", "--root", str(root)]) == 1
    assert "run python scripts/robustness/page.py" in capsys.readouterr().err
    assert "| `quick` | 22,214 | 99.00 | 40.00 | 90.00 | 1 seed |" in shown(root)
    store(root, 1, 0.5)
    text = shown(root)
    assert "| `quick` | 22,214 | 99.00 ± 0.00 | 45.00 ± 7.07 | 90.00 ± 0.00 | 2 seeds |" in text
    assert f"| `quick` |{' 40.0 / 90.0 |' * len(DISTORTIONS)}" in text
    assert "(seeds 0, 1)" in text


def test_other_recipes_have_their_own_rows(root: Path) -> None:
    store(root, 0, 0.4)
    store(root, 1, 0.4, "augmentation.noise=60.0")
    assert shown(root).count("| 1 seed |") == 2


def test_what_it_cannot_use(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = store(root, 0, 0.4)
    content = json.loads(path.read_text(encoding="utf-8"))
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"images": 1000}, "1000 of 10000 test images, not of the whole test split"),
        ({"part": "validation"}, "not of the whole test split"),
        ({"cells": content["cells"][1:]}, "another grid"),
        ({"fingerprint": 3}, "fingerprint: Input should be a valid string"),
    ]
    for change, message in wrong:
        path.write_text(json.dumps({**content, **change}), encoding="utf-8")
        assert page.main(["--root", str(root)]) == 2
        assert message in capsys.readouterr().err
    path.unlink()
    (root / "docs" / "robustness.md").write_text("# No marks\n", encoding="utf-8")
    assert page.main(["--root", str(root)]) == 2
    assert "must have" in capsys.readouterr().err
