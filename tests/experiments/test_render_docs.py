"""The documentation's tables are those of the stored results, the commands and the schema."""

from __future__ import annotations

import importlib
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from kilonet.errors import DataError, UsageError
from kilonet.recipe.keys import all_keys

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results"
render_docs = importlib.import_module("render_docs")
frontier = importlib.import_module("doc_tables.frontier")
reference = importlib.import_module("doc_tables.reference")


def cells(text: str, first: str) -> list[str]:
    """Return the cells of the table row whose first cell is ``first``."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return next(row for row in rows if row[0] == first)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with all results and one page."""
    shutil.copytree(RESULTS, tmp_path / "results")
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("No regions.\n", encoding="utf-8")
    page = "Before\n<!-- table: seeds simple-8k -->\nold\n<!-- end -->\nAfter\n"
    (tmp_path / "docs" / "page.md").write_text(page, encoding="utf-8")
    return tmp_path


def change(root: Path, name: str, **changes: Any) -> None:
    path = root / "results" / name
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | changes), encoding="utf-8")


def test_the_pages_agree_with_the_results() -> None:
    assert render_docs.main(["--check"]) == 0, "run make docs"


def test_every_table_is_in_a_page() -> None:
    shown = {
        region[2].split()[0]
        for path in render_docs.pages(ROOT)
        for region in render_docs.REGION.finditer(path.read_text(encoding="utf-8"))
    }
    assert shown == set(render_docs.TABLES)


def test_stale_pages_are_named_and_written(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = ["--root", str(root)]
    assert render_docs.main([*there, "--check"]) == 1
    assert capsys.readouterr().err == "docs/page.md is stale: run make docs\n"
    assert render_docs.main(there) == 0
    text = (root / "docs" / "page.md").read_text(encoding="utf-8")
    assert text.startswith("Before\n<!-- table: seeds simple-8k -->\n\n| seed |")
    assert text.endswith("|\n\n<!-- end -->\nAfter\n") and "old" not in text
    assert render_docs.main([*there, "--check"]) == 0
    for name in ("training-curves.png", "frontier.png"):
        assert (root / "docs" / "img" / name).read_bytes().startswith(b"\x89PNG")


def test_value_in_a_sentence_is_replaced_in_place() -> None:
    text = render_docs.render("It is <!-- value: claims-held --><!-- end -->.", RESULTS)
    assert text == "It is <!-- value: claims-held -->3 of 14<!-- end -->."


def test_unknown_tables_and_labels_are_errors() -> None:
    with pytest.raises(UsageError, match=r'There is no table "seads"\. Did you mean "seeds"'):
        render_docs.render("<!-- table: seads gap-14k --><!-- end -->", RESULTS)
    with pytest.raises(DataError, match='no run with the label "gap"'):
        render_docs.render("<!-- table: seeds gap --><!-- end -->", RESULTS)


@pytest.mark.parametrize(
    "page",
    [
        "<!-- table: seeds gap-14k -->\n",
        "<!-- end -->",
        "<!-- table: recipes -->\n<!-- table: claims -->\n<!-- end -->",
        "<!-- end --><!-- table: recipes -->",
    ],
)
def test_a_region_without_its_end_is_an_error(page: str) -> None:
    with pytest.raises(UsageError, match="A region has no <!-- end -->"):
        render_docs.render(page, RESULTS)


def test_each_seed_has_its_wilson_interval(root: Path) -> None:
    run = json.loads((RESULTS / "simple-8k.json").read_text(encoding="utf-8"))["runs"][0]
    change(root, "simple-8k.json", runs=[{**run, "test_correct": 9900}])
    row = cells(render_docs.TABLES["seeds"](root / "results", "simple-8k"), "0")
    z, n, p = stats.norm.ppf(0.975), 10000, 0.99
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert row[1:3] == ["99.00", f"{100 * (centre - half):.2f}–{100 * (centre + half):.2f}"]


@pytest.mark.parametrize("name", ["result", "claims"])
def test_row_shows_claimed_and_measured_values(name: str, root: Path) -> None:
    arguments = ["two-conv-fc64"] if name == "result" else []
    text = render_docs.TABLES[name](root / "results", *arguments)
    assert "about 25K" in text and "105,962" in text and "98.170 ± 0.192" in text
    assert "**does not hold**: 80,962 parameters too many" in text


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"recipe": "quick"}, "measures quick"),
        ({"runs": []}, "runs"),
        ({"parameters": "x"}, "para"),
    ],
)
def test_wrong_results_are_errors(root: Path, wrong: dict[str, Any], message: str) -> None:
    change(root, "simple-8k.json", **wrong)
    with pytest.raises(DataError, match=rf"(?s)simple-8k\.json.*{message}"):
        render_docs.TABLES["seeds"](root / "results", "simple-8k")


@pytest.mark.parametrize("wrong", [{"images": 1000}, {"part": "validation"}, {"cells": []}])
def test_incomplete_robustness_results_are_an_error(root: Path, wrong: dict[str, Any]) -> None:
    change(root, "robustness-kilonet-25k-robust-0.json", **wrong)
    with pytest.raises(UsageError, match="another grid of distortions, or not all test images"):
        render_docs.TABLES["robustness"](root / "results")


def test_effects_compare_with_the_base_trial_of_the_same_seed(tmp_path: Path) -> None:
    def trial(name: str, seed: int, accuracy: float) -> dict[str, Any]:
        sizes = {"parameters": 1982, "epochs": 12}
        return {"name": name, "seed": seed, "validation_accuracy": accuracy, **sizes}

    trials = [
        *(trial("2k/relu", 0, 0.9840), trial("2k/base", 0, 0.9850), trial("2k/base", 1, 0.9870)),
        *(trial("2k/relu", 1, 0.9830), trial("2k/other", 2, 0.99)),
        *(trial("1k/base", seed, 0.98) for seed in range(3)),
        *(trial("1k/less", seed, 0.979 - seed / 1000) for seed in range(3)),
    ]
    (tmp_path / "frontier-search.json").write_text(json.dumps({"trials": trials}))
    effects = {each.change: each for each in frontier.effects_of(tmp_path / "frontier-search.json")}
    assert list(effects) == ["base", "less", "other", "relu"]
    assert effects["less"].half_width == pytest.approx(4.3027 * 0.1 / 3**0.5, abs=1e-4)
    assert effects["relu"].mean == pytest.approx(-0.25)
    assert effects["relu"].deviation == pytest.approx(0.2121, abs=1e-3)
    assert effects["other"].mean is None
    text = frontier.trials(tmp_path)
    assert "-0.25 ± 0.21" in text and "-0.20 (-0.45 to +0.05)" in text


def test_every_key_of_a_recipe_is_in_the_reference() -> None:
    section, shown = "", set()
    for line in reference.recipe_keys(RESULTS).splitlines():
        if line.startswith("## "):
            section = line.strip("#` []")
        elif line.startswith("| `"):
            shown.add(f"{section}.{line.split('`')[1]}")
    assert shown == set(all_keys())


def test_values_and_defaults_are_those_of_the_schema() -> None:
    text = reference.recipe_keys(RESULTS)
    assert cells(text, "`validation`")[1:3] == ["number ≥ 0, < 1", "`0.08333`"]
    assert cells(text, "`epochs`")[1:3] == ["whole number ≥ 1, ≤ 1e+09", "required"]
    assert cells(text, "`keep`")[1] == '`"best"`, `"last"`'
    assert cells(text, "`teachers`")[1:3] == ["list of text", "`[]`"]


def test_every_command_is_in_the_reference() -> None:
    text = reference.commands(RESULTS)
    for name in ("train", "export", "data fetch"):
        assert f"## `kilonet {name}`\n\n" in text
    export = text.split("## `kilonet export`")[1].split("\n## ")[0]
    assert "$ kilonet export [OPTIONS] {RUN}\n" in export
    assert "* `--to TARGET`: The target: onnx, c, html" in export
    assert "--help" not in text
