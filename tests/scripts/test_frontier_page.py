"""The frontier's page: what it says is what the results files hold."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

measured = importlib.import_module("frontier.measured")
page = importlib.import_module("frontier.page")
plot = importlib.import_module("frontier.plot")


def run(seed: int, correct: int) -> dict[str, Any]:
    return {
        "seed": seed,
        "test_correct": correct,
        "test_total": 10000,
        "best_epoch": 30,
        "epochs": 30,
        "stopped_because": "all 30 epochs done",
        "seconds": 1.0,
        "history": [],
        "environment": {},
    }


def result(*correct: int) -> str:
    return json.dumps(
        {
            "recipe": "kilonet-2k",
            "overrides": [],
            "fingerprint": "0" * 12,
            "parameters": 1982,
            "data": {"name": "mnist", "validation": 0.0},
            "runs": [run(seed, number) for seed, number in enumerate(correct)],
        }
    )


def trial(name: str, seed: int, accuracy: float) -> dict[str, Any]:
    return {
        "name": name,
        "seed": seed,
        "parameters": 1982,
        "epochs": 12,
        "validation_accuracy": accuracy,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "kilonet-2k.json").write_text(result(9930, 9940, 9950, 9935, 9945))
    trials = [
        trial("2k/relu", 0, 0.9840),
        trial("2k/base", 0, 0.9850),
        trial("2k/base", 1, 0.9870),
        trial("2k/relu", 1, 0.9830),
        trial("2k/silent", 2, 0.99),
        *(trial("1k/base", seed, 0.98) for seed in range(3)),
        *(trial("1k/less", seed, 0.979 - seed / 1000) for seed in range(3)),
    ]
    (tmp_path / "frontier-search.json").write_text(json.dumps({"trials": trials}))
    return tmp_path


def row_of(folder: Path, name: str) -> Any:
    return next(r for r in measured.read_frontier(folder, {}).rows if r.budget.name == name)


@pytest.mark.parametrize(
    ("correct", "met"),
    [((9940,) * 5, True), ((9940, 9940, 9940, 9940, 9939), False), ((9990,) * 4, None)],
)
def test_a_goal_takes_five_seeds_and_is_to_the_letter(
    folder: Path, correct: tuple[int, ...], met: bool | None
) -> None:
    (folder / "kilonet-2k.json").write_text(result(*correct))
    assert row_of(folder, "kilonet-2k").met is met
    assert row_of(folder, "kilonet-1k").met is None


def test_effects_are_against_the_base_of_the_same_seed(folder: Path) -> None:
    every = measured.read_frontier(folder, {}).effects
    effects = {effect.change: effect for effect in every if effect.group == "2k"}
    assert next(iter(effects)) == "base"
    (less,) = [effect for effect in every if effect.change == "less"]
    assert less.half_width == pytest.approx(4.3027 * 0.1 / 3**0.5, abs=1e-4)
    assert effects["relu"].mean == pytest.approx(-0.25)
    assert effects["relu"].deviation == pytest.approx(0.2121, abs=1e-3)
    assert effects["silent"].mean is None
    assert effects["base"].accuracy == pytest.approx(98.6)


def test_the_page(folder: Path) -> None:
    text = page.frontier(measured.read_frontier(folder, {}))
    (line,) = [line for line in text.splitlines() if line.startswith("| `kilonet-2k`")]
    assert "| 1,982 | 30 | 99.40 | 99.400 ± 0.079 | 5 | 99.30–99.50 |" in line
    assert "99.30, 99.40, 99.50, 99.35, 99.45" in line
    assert line.endswith("| yes |")
    assert "-0.25 ± 0.21" in text
    assert "-0.20 (-0.45 to +0.05)" in text
    assert "| `kilonet-0.5k` | 500 | – | – | 98.00 | – | 0 |" in text


def test_clothes_stand_apart_from_digits(folder: Path) -> None:
    clothes = json.loads(result(9400, 9410, 9390, 9400, 9400))
    (folder / "fashion-25k.json").write_text(
        json.dumps({**clothes, "recipe": "fashion-25k", "parameters": 22855})
    )
    found = measured.read_frontier(folder, {})
    digits, _, rest = page.frontier(found).partition("## Fashion-MNIST")
    assert "fashion" not in digits
    assert "| `fashion-25k` | 25,000 | 22,855 | 30 | 93.50 | 94.000 ± 0.071 | 5 |" in rest
    assert "DenseNet-BC" in rest
    assert [row.budget.name for row in found.on("fashion-mnist").rows] == ["fashion-25k"]
    assert all(record.accuracy >= 98 for record in found.on("mnist").records)


def test_what_pruning_left_stands_beside_the_parameters(folder: Path) -> None:
    entry = {"name": "kilonet-2k", "nonzero": 1700, "test_correct": 9937, "test_total": 10000}
    (folder / "frontier-sparse.json").write_text(json.dumps({"models": [entry]}))
    text = page.frontier(measured.read_frontier(folder, {}))
    (line,) = [line for line in text.splitlines() if line.startswith("| `kilonet-2k`")]
    assert "| 1,982 | 30 |" in line
    assert "| 1,700 (99.37) | yes |" in line


def test_the_page_says_what_is_missing(folder: Path) -> None:
    (folder / "kilonet-2k.json").write_text(result(*(9930,) * 5))
    assert "no, 0.100 points short" in page.frontier(measured.read_frontier(folder, {}))


def test_the_picture(folder: Path, tmp_path: Path) -> None:
    found = measured.read_frontier(folder, {})
    plot.draw_frontier(found, tmp_path / "frontier.png")
    assert (tmp_path / "frontier.png").read_bytes().startswith(b"\x89PNG")
