"""The documentation's figures are those of the results, and the verdicts follow from them."""

from __future__ import annotations

import importlib
import json
import math
import statistics
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from scipy import stats

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

make_docs = importlib.import_module("make_docs")
figures = importlib.import_module("reproduction.figures")

CLAIMS = """
[dataset]
name = "mnist"
train = 60000
test = 10000

[[page]]
number = "000"
title = "First"
notes = ["Twelve is not a dozen."]

[[claim]]
label = "two-conv-fc64"
recipe = "two-conv-fc64"
page = "000"
parameters = "~25K"
epochs = "1–2"
accuracy = "≥95"
why.parameters = "Too wide."

[[claim]]
label = "two-conv-fc64-ten-epochs"
recipe = "two-conv-fc64"
overrides = ["training.stop_at_accuracy=off"]
page = "000"
parameters = "~25K"
epochs = "≤10"
accuracy = "≥98"
by_epoch = { 1 = "~94–95", 3 = "~97" }

[[page]]
number = "004"
title = "Last"
notes = []

[[claim]]
label = "simple-8k"
recipe = "simple-8k"
page = "004"
parameters = "<8,000"
epochs = "~15"
accuracy = ">99.4"
why.accuracy = "Without dropout it reaches {bare}."

[[claim]]
label = "simple-8k-plus"
recipe = "simple-8k-plus"
page = "004"
ours = true
beside = "simple-8k"
parameters = "<8,000"
epochs = "~15"
accuracy = ">99.4"

[[probe]]
label = "bare"
recipe = "simple-8k"
overrides = ["model.dropout=0"]

[[floor]]
page = "000"
accuracy = "≥98"
at_epoch = 3
recipes = ["two-conv-fc64-ten-epochs"]

[[floor]]
page = "004"
accuracy = ">99.4"
parameters = "<8,000"
recipes = ["simple-8k", "simple-8k-plus"]

[readme]
recipes = ["simple-8k-plus", "simple-8k"]

[curves]
recipes = ["simple-8k-plus", "two-conv-fc64-ten-epochs"]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository without any measurement."""
    for name in ("scripts", "results"):
        (tmp_path / name).mkdir()
    (tmp_path / "scripts" / "claims.toml").write_text(CLAIMS, encoding="utf-8")
    return tmp_path


def put(root: Path, label: str, correct: list[int], **more: Any) -> None:
    """Store a result whose seeds, 0 and up, got ``correct`` of the test images right."""
    by_epoch = more.pop("by_epoch", [0.97, 0.98])
    runs = [
        {
            "seed": seed,
            "test_correct": right,
            "test_total": 10000,
            "best_epoch": 2,
            "epochs": len(by_epoch),
            "stopped_because": "all epochs done",
            "seconds": 12.0 + seed,
            "history": [
                {"epoch": epoch, "train_accuracy": 0.9, "validation_accuracy": 0.95 + epoch / 1000}
                | ({} if test is None else {"test_accuracy": test})
                for epoch, test in enumerate(by_epoch, start=1)
            ],
            "environment": {"torch": "9.8.7", "kilonet": "", "commit": "c0ffee", "device": "cpu"},
        }
        for seed, right in enumerate(correct)
    ]
    content: dict[str, Any] = {
        "recipe": label.removesuffix("-ten-epochs"),
        "overrides": ["training.stop_at_accuracy=off"] if label.endswith("epochs") else [],
        "fingerprint": "0123456789ab",
        "parameters": 6762,
        "data": {"name": "mnist", "validation": 1 / 12},
        "runs": runs,
    }
    path = root / "results" / f"{label}.json"
    path.write_text(json.dumps(content | more), encoding="utf-8")


def document(root: Path) -> str:
    assert make_docs.main(["--root", str(root)]) == 0
    return (root / "docs" / "reproduction.md").read_text(encoding="utf-8")


def rows(text: str, first: str) -> list[list[str]]:
    """The cells of all table rows whose first cell is ``first``."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return [row for row in cells if row[0] == first]


def summary_row(text: str, label: str) -> list[str]:
    (row,) = rows(text, f"[`{label}`](#{label})")
    return row


def test_measurements_land_in_the_summary(root: Path) -> None:
    put(root, "simple-8k", [9946, 9938, 9951])
    row = summary_row(document(root), "simple-8k")
    values = [99.46, 99.38, 99.51]
    mean, deviation = statistics.mean(values), statistics.stdev(values)
    low, high = stats.t.interval(0.95, 2, mean, deviation / math.sqrt(3))
    assert row[1:] == [
        "004", "under 8,000", "6,762", "about 15", "2", "over 99.4",
        f"{mean:.3f} ± {deviation:.3f}", "3", f"{low:.2f}–{high:.2f}", "99.46, 99.38, 99.51",
        "**stands** (the accuracy's 95 % interval holds both answers)",
    ]  # fmt: skip


def test_each_seed_has_its_wilson_interval_and_the_peeked_figure_stands_apart(root: Path) -> None:
    put(root, "simple-8k", [9900], by_epoch=[0.981, 0.9931, 0.99])
    text = document(root)
    (row,) = rows(text, "0")
    z, n, p = stats.norm.ppf(0.975), 10000, 0.99
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    wilson = f"{100 * (centre - half):.2f}–{100 * (centre + half):.2f}"
    assert row == ["0", "99.00", wilson, "2", "3", "12", "90.00", "99.31"]
    assert "highest test accuracy of any epoch" in text
    assert "99.31" not in " ".join(summary_row(text, "simple-8k"))


@pytest.mark.parametrize(
    ("correct", "verdict"),
    [
        ([9941, 9941], "**stands**"),
        ([9940, 9940], "**does not stand**: accuracy not over 99.4"),
        ([9930, 9931], "**does not stand**: accuracy 0.095 points short"),
        ([9941], "**stands** (one seed)"),
    ],
)
def test_the_verdict_follows_from_the_mean(root: Path, correct: list[int], verdict: str) -> None:
    put(root, "simple-8k", correct)
    assert summary_row(document(root), "simple-8k")[-1] == verdict


def test_too_many_parameters_and_epochs_fail_a_claim(root: Path) -> None:
    put(root, "two-conv-fc64", [9900], parameters=105962, by_epoch=[0.9, 0.92, 0.94])
    text = document(root)
    verdict = "**does not stand**: 80,962 parameters too many; 1 epoch too many (one seed)"
    assert summary_row(text, "two-conv-fc64")[-1] == verdict
    assert "Too wide." in text
    assert "Why the epochs are off is not known yet." in text
    assert "Of 3 claims by the pages, 0 stand, 1 does not, and 2 are not yet measured." in text


def test_a_probe_says_why(root: Path) -> None:
    put(root, "simple-8k", [9900])
    assert "Without dropout it reaches not yet measured." in document(root)
    put(root, "bare", [9950, 9951], recipe="simple-8k", overrides=["model.dropout=0"])
    assert "Without dropout it reaches 99.505 ± 0.007 % (2 seeds)." in document(root)


def test_what_is_missing_is_not_guessed(root: Path) -> None:
    text = document(root)
    for label in ("two-conv-fc64", "simple-8k", "simple-8k-plus"):
        row = summary_row(text, label)
        assert row[3] == row[7] == row[-1] == "not yet measured"
        assert row[8] == "0"
    assert "0 of 2 floors are met; not yet measured: page 000" in text
    assert "training-curves.png" not in text
    assert not (root / "docs" / "img").exists()


def test_figures_by_epoch(root: Path) -> None:
    put(root, "two-conv-fc64-ten-epochs", [9900, 9900], by_epoch=[0.93, 0.95, 0.975])
    put(root, "two-conv-fc64", [9500], by_epoch=[0.93])
    text = document(root)
    table = text[text.index("### Page 000, epoch by epoch") :]
    assert rows(table, "1")[0] == ["1", "about 94–95", "93.00", "93.000 ± 0.000 ✗"]
    assert rows(table, "2")[0] == ["2", "–", "–", "95.000 ± 0.000"]
    assert rows(table, "3")[0] == ["3", "about 97", "–", "97.500 ± 0.000 ✓"]


def test_floors(root: Path) -> None:
    put(root, "two-conv-fc64-ten-epochs", [9990], by_epoch=[0.93, 0.95, 0.9799])
    put(root, "simple-8k", [9939])
    put(root, "simple-8k-plus", [9945])
    text = document(root)
    assert [row[-1] for row in rows(text, "004")] == [
        "**no**: accuracy 0.010 points short (one seed)",
        "**yes** (one seed)",
    ]
    assert rows(text, "000")[0][3:] == [
        "97.99",
        "1",
        "**no**: accuracy 0.010 points short (one seed)",
    ]
    assert "1 of 2 floors are met; not met: page 000, at least 98 %, after 3 epochs." in text


def test_a_floor_of_parameters_counts(root: Path) -> None:
    put(root, "simple-8k", [9950], parameters=8000)
    text = document(root)
    assert rows(text, "004")[0][-1] == "**no**: 1 parameter too many (one seed)"


def test_where_the_figures_come_from(root: Path) -> None:
    put(root, "simple-8k", [9950, 9951])
    text = document(root)
    (row,) = [row for row in rows(text, "`simple-8k`") if len(row) == 7]
    assert row[1:] == ["`0123456789ab`", "–", "c0ffee", "cpu", "0, 1", "12"]
    assert rows(text, "torch") == [["torch", "9.8.7"]]
    assert "its fingerprint is now" in text
    assert "`model.activation = silu` (relu)" in text
    assert "- Twelve is not a dozen." in text
    assert "Of the 60,000, 5,000 (" in text


def test_the_readme_block(root: Path) -> None:
    readme = root / "README.md"
    readme.write_text("Before\n<!-- results:begin -->\nold\n<!-- results:end -->\nAfter\n")
    put(root, "simple-8k", [9946, 9938, 9951])
    document(root)
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("Before\n<!-- results:begin -->\n")
    assert text.endswith("\n<!-- results:end -->\nAfter\n")
    assert "old" not in text
    assert rows(text, "`simple-8k`")[0][1:4] == ["6,762", "2", "99.450 ± 0.066 (3 seeds)"]
    assert rows(text, "`simple-8k-plus`")[0][3] == "not yet measured"


@pytest.mark.parametrize("text", ["none", "<!-- results:begin -->", "<!-- results:end -->" * 2])
def test_a_readme_without_both_marks(
    root: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "README.md").write_text(text)
    assert make_docs.main(["--root", str(root)]) == 2
    assert "README.md needs the lines <!-- results:begin -->" in capsys.readouterr().err
    assert not (root / "docs").exists()


def test_check_names_what_differs(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check = ["--root", str(root), "--check"]
    (root / "README.md").write_text("<!-- results:begin -->\n<!-- results:end -->")
    assert make_docs.main(check) == 1
    assert not (root / "docs").exists()
    document(root)
    assert make_docs.main(check) == 0
    capsys.readouterr()
    put(root, "two-conv-fc64", [9900])
    assert make_docs.main(check) == 1
    assert capsys.readouterr().err.splitlines() == [
        "docs/reproduction.md differs: run python scripts/make_docs.py"
    ]
    put(root, "simple-8k", [9900])
    assert make_docs.main(check) == 1
    assert [line.split()[0] for line in capsys.readouterr().err.splitlines()] == [
        "docs/reproduction.md",
        "README.md",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parameters": "many"}, "parameters"),
        ({"runs": []}, "runs"),
        ({"recipe": "quick"}, "measures ('quick'"),
        ({"overrides": ["optimizer.lr=1"]}, "optimizer.lr=1"),
        ({"data": {"name": "digits", "validation": 0.1}}, "'digits'"),
    ],
)
def test_a_wrong_results_file(
    root: Path, change: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    put(root, "simple-8k", [9900], **change)
    assert make_docs.main(["--root", str(root)]) == 1
    error = capsys.readouterr().err
    assert "simple-8k.json" in error
    assert message in error


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('accuracy = "≥95"', 'accuracy = "most"', '"most" is not a figure'),
        ("why.parameters", "why.because", "because"),
        ('recipes = ["simple-8k-plus", "simple-8k"]', 'recipes = ["simple"]', '"simple"'),
    ],
)
def test_a_wrong_claims_file(
    root: Path, old: str, new: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "scripts" / "claims.toml").write_text(CLAIMS.replace(old, new), encoding="utf-8")
    assert make_docs.main(["--root", str(root)]) == 1
    error = capsys.readouterr().err
    assert "claims.toml" in error
    assert message in error


def test_the_picture_of_the_curves(root: Path) -> None:
    put(root, "simple-8k-plus", [9900, 9901], by_epoch=[0.9, 0.95, 0.97])
    put(root, "two-conv-fc64-ten-epochs", [9900])
    assert "](img/training-curves.png)" in document(root)
    with Image.open(root / "docs" / "img" / "training-curves.png") as picture:
        assert picture.size[0] > picture.size[1] > 400
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 50


@pytest.mark.parametrize(
    ("text", "words", "reached", "missed"),
    [
        ("≥99.4", "at least 99.4", "99.4", "99.3999"),
        (">99.4", "over 99.4", "99.4001", "99.4"),
        ("99.6", "99.6", "99.55", "99.5499"),
        ("98.16", "98.16", "98.155", "98.1549"),
        ("~98", "about 98", "97.5", "97.4999"),
        ("~94–95", "about 94–95", "93.5", "93.4999"),
    ],
)
def test_what_reaches_a_figure(text: str, words: str, reached: str, missed: str) -> None:
    figure = figures.parse_figure(text)
    assert str(figure) == words
    assert figure.reached_by(Fraction(reached))
    assert not figure.reached_by(Fraction(missed))


@pytest.mark.parametrize(
    ("text", "most"),
    [("18,060", 18060), ("<8,000", 7999), ("~25K", 25499), ("1–2", 2), ("≤10", 10), ("~15", 15)],
)
def test_what_keeps_to_a_figure(text: str, most: int) -> None:
    figure = figures.parse_figure(text)
    assert figure.kept_by(most)
    assert not figure.kept_by(most + 1)


@pytest.mark.parametrize("text", ["", "about 5", "5 %", "1-2", "~", "99.4.1"])
def test_what_is_no_figure(text: str) -> None:
    with pytest.raises(ValueError, match="is not a figure"):
        figures.parse_figure(text)


def test_the_documents_agree_with_the_stored_results() -> None:
    assert make_docs.main(["--check"]) == 0, "run python scripts/make_docs.py"
