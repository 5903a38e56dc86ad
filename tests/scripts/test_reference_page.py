"""The generated reference: every key and every command is there, as the code has it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from kilonet.recipe.keys import all_keys

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

page = importlib.import_module("reference.page")
keys = importlib.import_module("reference.keys")
commands = importlib.import_module("reference.commands")


def test_the_pages_are_those_of_the_code() -> None:
    assert page.main(["--check"]) == 0, "run python scripts/reference/page.py"


def test_a_stale_page_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert page.main(["--root", str(tmp_path)]) == 0
    assert page.main(["--root", str(tmp_path), "--check"]) == 0
    (tmp_path / "docs" / "reference" / "cli.md").write_text("old", encoding="utf-8")
    assert page.main(["--root", str(tmp_path), "--check"]) == 1
    assert capsys.readouterr().err.startswith("docs/reference/cli.md differs")


def test_every_key_is_there() -> None:
    shown = {
        f"{section}.{row[0]}"
        for section, _, parts in keys.sections()
        for _, _, rows in parts
        for row in rows
    }
    assert shown == set(all_keys())


def test_values_and_defaults_are_the_schemas() -> None:
    rows = {row[0]: row for _, _, parts in keys.sections() for _, _, part in parts for row in part}
    assert rows["validation"][1:3] == ("number ≥ 0, < 1", "`0.08333`")
    assert rows["epochs"][1:3] == ("whole number ≥ 1, ≤ 1e+09", "required")
    assert rows["keep"][1] == '`"best"`, `"last"`'
    assert rows["patience"][1:3] == ("whole number ≥ 1, ≤ 1e+09, or off", "off")
    assert rows["teachers"][1:3] == ("list of text", "`[]`")


def test_every_command_is_there_with_its_help() -> None:
    found = {command.name: command for command in commands.commands()}
    assert {"kilonet train", "kilonet export", "kilonet data fetch"} <= found.keys()
    export = found["kilonet export"]
    assert export.usage == "kilonet export [OPTIONS] {RUN}"
    assert [what for what, _ in export.arguments] == ["RUN"]
    assert dict(export.options)["--to TARGET"].startswith("What to make: onnx, c, html")
    assert all(command.sentence for command in found.values())
