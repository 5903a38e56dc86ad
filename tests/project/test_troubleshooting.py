"""The page on troubleshooting quotes messages as the package writes them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "troubleshooting.md"
ANYTHING = "…"
FIRST_COLUMN = re.findall(r"^\| (`.+?`) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
QUOTED = [message for cell in FIRST_COLUMN for message in re.findall("`([^`]+)`", cell)]


def templates() -> Iterator[str]:
    """Yield each text in the package; "…" stands for its expressions."""
    for path in (ROOT / "src" / "kilonet").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else ANYTHING
                    for part in node.values
                )


TEMPLATES = list(templates())


def test_the_page_has_messages() -> None:
    assert len(QUOTED) > 25
    assert len(set(QUOTED)) == len(QUOTED)


@pytest.mark.parametrize("message", QUOTED)
def test_a_message_is_in_the_source(message: str) -> None:
    parts = [re.escape(part) for part in message.split(ANYTHING)]
    pattern = re.compile(".*".join(parts), re.DOTALL)
    assert any(pattern.search(text) for text in TEMPLATES), message
