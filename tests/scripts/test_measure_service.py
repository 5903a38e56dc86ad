"""The measurement's parts that need no wrk, and the page that shows its result."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path

import pytest
from PIL import Image

from kilonet.preprocessing import prepare

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

page = importlib.import_module("serving.page")
load = importlib.import_module("serving.load")

RESULT = {
    "model": "net-1",
    "workers": 2,
    "connections": 64,
    "busy": 0.25,
    "load": {
        "requests": 12_345, "seconds": 10.0, "refused": 0, "lost": 1, "p50_ms": 40.4,
        "p99_ms": 99.6, "longest_ms": 120, "client_cores": 0.1, "front_cores": 0.5,
        "worker_cores": 1.4,
    },
    "memory": [{"requests": 5000, "bytes": 150_000_000}, {"requests": 9000, "bytes": 151_000_000}],
    "date": "2030-01-02",
    "environment": {
        "cores": "2", "processor": "P", "commit": "c0ffee", "onnxruntime": "1.2", "python": "3.11",
    },
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A page and a result."""
    for name in ("docs", "results"):
        (tmp_path / name).mkdir()
    text = "Before\n<!-- results:begin -->\nold\n<!-- results:end -->\nAfter\n"
    (tmp_path / "docs" / "serving.md").write_text(text)
    (tmp_path / "results" / "service.json").write_text(json.dumps(RESULT))
    return tmp_path


def test_figures(root: Path) -> None:
    there = ["--root", str(root)]
    assert page.main([*there, "--check"]) == 1
    assert page.main(there) == 0
    assert page.main([*there, "--check"]) == 0
    text = (root / "docs" / "serving.md").read_text()
    assert "| 1,234 | 12,345 | 1 | 40 | 100 | 120 |" in text
    assert "After 5,000 requests all processes had 150 MB, after 9,000 151 MB." in text
    assert text.startswith("Before\n<!-- results:begin -->\n\n|")
    assert text.endswith("\n\n<!-- results:end -->\nAfter\n")


@pytest.mark.parametrize("damage", ["marks", "result"])
def test_what_it_cannot_write(root: Path, damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    result = root / "results" / "service.json"
    if damage == "marks":
        (root / "docs" / "serving.md").write_text("none")
    else:
        result.write_text("{}")
    assert page.main(["--root", str(root)]) == 2
    assert ("needs the lines" if damage == "marks" else "service.json") in capsys.readouterr().err


def test_without_a_measurement(root: Path) -> None:
    (root / "results" / "service.json").unlink()
    assert page.main(["--root", str(root)]) == 0
    text = (root / "docs" / "serving.md").read_text()
    assert "Nothing has been measured yet." in text


def test_the_page_in_the_repository_is_that_of_its_result() -> None:
    assert page.main(["--check"]) == 0, "run python scripts/serving/page.py"


def test_the_pictures_that_are_sent(tmp_path: Path) -> None:
    assert load.write_pictures(tmp_path) == load.PICTURES
    files = [tmp_path / f"{number}.png" for number in range(load.PICTURES)]
    seen = set()
    for file in files:
        with Image.open(file) as picture:
            seen.add((picture.size, picture.mode))
        prepare(file)
    assert seen == {((280, 280), mode) for mode in load.MODES}


def test_what_processes_take() -> None:
    here = load.Processes(os.getpid())
    assert here.all()[0] == os.getpid()
    assert here.seconds()[0] > 0
    assert here.memory() > 1e6
