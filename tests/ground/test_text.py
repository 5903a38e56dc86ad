"""Names that others chose: on terminals, and in CSV, JSON, Markdown and YAML."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.table import Table
from rich.text import Text

from kilonet.cli.common import output, print_error, print_json, print_line, print_table
from kilonet.cli.reporter import ConsoleReporter
from kilonet.files import csv_text, write_json, write_text
from kilonet.text import csv_cell, markdown, printable, printable_json, yaml

HOSTILE = [
    "\x1b]0;title\x07",
    "\x1b[2J\x1b[31mred",
    "\x9b31mred",
    "back\x08\x08space",
    "over\rwritten",
    "exe\u202egpj",
    "\u2066isolated",
    "delete\x7f",
    "caf\udce9",
]
CONTROL = {chr(code) for code in [*range(9), *range(11, 32), *range(127, 160)]} | set(
    "\u202e\u2066"
)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_do_not_control_the_terminal(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_line(f"Wrote {name}.")
    print_error(f"There is no {name}.")
    table = Table("name")
    table.add_row(name)
    print_table(table)
    output().print(Text(name), name)
    with ConsoleReporter(output()) as reporter:
        reporter.message(f"Note: {name}")
    print_json({"name": name})
    out, err = capsys.readouterr()
    assert not CONTROL & set(out + err)
    assert out.encode()
    assert json.loads(out[out.index("{") :])["name"] == name


def test_styles_remain(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    output().print(Text.assemble(("bold", "bold"), "\x1b[31mred"))
    out = capsys.readouterr().out
    assert "\x1b[1mbold" in out
    assert "\x1b[31m" not in out


@given(st.text(st.characters(exclude_categories=())))
def test_any_text(text: str) -> None:
    assert not CONTROL & set(printable(text))
    printable(text).encode()
    assert len(printable(text)) == len(text)
    dumped = printable_json(json.dumps(text, ensure_ascii=False))
    assert json.loads(dumped) == text
    assert not CONTROL & set(dumped)
    assert json.loads(yaml(text)) == printable(text)
    assert "\n" not in markdown(text)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_csv_has_no_formulas(start: str) -> None:
    cell = f"{start}cmd|'/C calc'!A0"
    (row,) = csv.DictReader(io.StringIO(csv_text(["name"], [{"name": cell}])))
    assert row["name"].startswith(("'", "\N{REPLACEMENT CHARACTER}"))


@pytest.mark.parametrize("value", [-1, -0.5, None, True, "-1", "+2.5", "-1e-3", "a=b", "", "1-2"])
def test_csv_keeps_numbers_and_other_texts(value: object) -> None:
    assert csv_cell(value) == value


@pytest.mark.parametrize(
    "name", ["*bold*", "[x](http://x)", "<script>", "a\n# b", "`code`", "a|b", "&lt;", "a_b_c"]
)
def test_markdown_shows_the_name(name: str) -> None:
    tokens = MarkdownIt().parse(f"# {markdown(name)}\n")
    inline = next(token for token in tokens if token.type == "inline")
    assert "".join(child.content for child in inline.children or []) == " ".join(name.split())
    assert {child.type for child in inline.children or []} <= {"text", "text_special"}


def test_files_with_names_that_are_not_utf8(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"name": "caf\udce9"})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"name": "caf\udce9"}
    write_text(tmp_path / "a.md", "# caf\udce9")
    assert (tmp_path / "a.md").read_text(encoding="utf-8") == "# caf?"
