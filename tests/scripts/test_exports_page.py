"""``docs/exporting.md`` holds the figures of ``results/export-*.json``, and no others."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from kilonet.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

measured = importlib.import_module("exporting.measured")
page = importlib.import_module("exporting.page")

VERIFIED = {
    "images": 10_000,
    "same_labels": 9_991,
    "largest_logit_difference": 0.31234,
    "accuracy": 0.9941,
    "pytorch_accuracy": 0.9943,
    "milliseconds": 0.25,
    "pytorch_milliseconds": 1.0,
}


def put(folder: Path, recipe: str, parameters: int, **more: Any) -> Path:
    form = {
        "target": "c-int8",
        "model": f"{recipe}-1",
        "bytes": {"net.c": 40_000, "net.h": 2_000},
        "budget": {"weight_bytes": 8_123, "arena_bytes": 7_654, "stack_bytes": 400},
        "verification": VERIFIED,
        "note": None,
    }
    onnx = {**form, "target": "onnx", "bytes": {"net.onnx": 31_000}, "budget": {}}
    content = {
        "recipe": recipe,
        "run": f"{recipe}-1",
        "parameters": parameters,
        "epochs": 8,
        "forms": [onnx, form],
        "printed": "net-1 as c-int8",
        "date": "2030-01-02",
        "environment": {"cores": "2", "processor": "P", "platform": "L", "torch": "9.8.7"},
    }
    path = folder / f"export-{recipe}.json"
    path.write_text(json.dumps(content | more), encoding="utf-8")
    return path


def test_figures(tmp_path: Path) -> None:
    put(tmp_path, "large", 9_000)
    put(tmp_path, "small", 8_000)
    text = page.exporting(measured.read_exported(tmp_path))
    figures = "9,991 of 10,000 | 3.1e-01 | 99.41 | 99.43 | 0.250 | 4.0×"
    assert f"| `small`, 8 epochs | C, int8 | {figures} |" in text
    assert text.index("`small`") < text.index("`large`")
    assert "| `large`, 8 epochs | 9,000 | ONNX | 31,000 | – | – | – |" in text
    assert "| `large`, 8 epochs | 9,000 | C, int8 | 42,000 | 8,123 | 7,654 | 400 |" in text
    assert "$ kilonet export large-1 --to c --int8\nnet-1 as c-int8\n" in text
    assert "2030-01-02" in text


def test_an_archive_with_its_remark(tmp_path: Path) -> None:
    form = {
        "target": "lambda",
        "model": "net-1",
        "bytes": {"net-1-lambda.zip": 29_123_456, "net-1-lambda.yaml": 900},
        "budget": {"unpacked_bytes": 91_234_567},
        "verification": VERIFIED,
        "note": "the archive is for Linux",
    }
    put(tmp_path, "net", 9_000, forms=[form])
    text = page.exporting(measured.read_exported(tmp_path))
    assert "For `net-1` that is 29,123,456 bytes, 91,234,567 unpacked" in text
    assert "| `net`, 8 epochs | 9,000 | Lambda archive | 29,124,356 | – | – | – |" in text


def test_without_measurements(tmp_path: Path) -> None:
    assert "Nothing has been measured yet." in page.exporting(measured.read_exported(tmp_path))


def test_a_file_that_is_no_result(tmp_path: Path) -> None:
    put(tmp_path, "odd", -1)
    with pytest.raises(UsageError, match=r"odd.json: parameters: .*measure_exports.py again"):
        measured.read_exported(tmp_path)


def test_the_page_in_the_repository_is_that_of_its_results() -> None:
    text = page.exporting(measured.read_exported(ROOT / "results"))
    assert (ROOT / "docs" / "exporting.md").read_text(encoding="utf-8") == text
