"""``kilonet export``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Command
from golden import assert_golden

from kilonet.cli.common import print_table
from kilonet.cli.tables import export_table
from kilonet.exports.verify import Verification
from kilonet.workflows.export import Export
from trained import start_run


@pytest.mark.compiler
def test_prints_what_it_measured(kilonet: Command, finished_here: str, tmp_path: Path) -> None:
    result = kilonet("export", finished_here, "--to", "c", "--int8", "--out", tmp_path)
    assert (result.status, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0] == "quick-1 as c-int8"
    assert re.search(r"^same label +3\d\d of 359$", result.out, re.MULTILINE)
    assert re.search(r"^RAM, static +[\d,]+ bytes$", result.out, re.MULTILINE)
    assert lines[-1] == f"Report: {tmp_path / 'quick-1-c-int8.json'}"
    assert {path.name for path in tmp_path.iterdir()} == {
        "quick_1_int8.c",
        "quick_1_int8.h",
        "quick-1-c-int8.json",
    }


def test_as_json(kilonet: Command, finished_here: str, tmp_path: Path) -> None:
    result = kilonet("export", finished_here, "--to", "onnx", "--out", tmp_path, "--json")
    found = json.loads(result.out)
    assert found["target"] == "onnx"
    assert found["verification"]["same_labels"] == 359


def test_refused(refused: Callable[..., str], finished_here: str, tmp_path: Path) -> None:
    assert 'no export target "d"' in refused("export", finished_here, "--to", "d")
    assert "--raw is not for --to c" in refused("export", finished_here, "--to", "c", "--raw")
    assert "Missing option '--to'" in refused("export", finished_here)
    assert "There is no run" in refused("export", "none", "--to", "c")
    assert "has not finished" in refused("export", start_run().path, "--to", "c", status=1)


def test_table(tmp_path: Path, capsys: object) -> None:
    for name, size in {"net_int8.c": 48_213, "net_int8.h": 1_604}.items():
        (tmp_path / name).write_bytes(bytes(size))
    files = tuple(sorted(tmp_path.iterdir()))
    found = Verification(10_000, 9_993, 0.3127, 0.9941, 0.9943, 0.2114, 0.8349)
    budget = {"weight_bytes": 8_104, "arena_bytes": 7_840, "stack_bytes": 352}
    export = Export("c-int8", "net-1", files, tmp_path / "x.json", found, budget, None)
    print_table(export_table(export))
    assert_golden("export", capsys.readouterr().out)  # type: ignore[attr-defined]
