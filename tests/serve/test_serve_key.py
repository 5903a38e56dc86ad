"""The API key."""

from __future__ import annotations

from pathlib import Path

import pytest

from kilonet.errors import UsageError
from kilonet.serve.key import VARIABLE, accepts, find_key

KEY = "correct-horse-battery"


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def test_where_it_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_key(None) is None
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    assert find_key(file) == KEY
    monkeypatch.setenv(VARIABLE, KEY)
    assert find_key(None) == KEY
    with pytest.raises(UsageError, match="two API keys"):
        find_key(file)


@pytest.mark.parametrize("text", ["", "short", "with a space in the middle", "ключ" * 5])
def test_what_is_no_key(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="must be one word of at least 16"):
        find_key(file)
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(UsageError, match=VARIABLE):
        find_key(None)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        find_key(tmp_path / "none")
    (tmp_path / "binary").write_bytes(b"\xff\xfe" * 20)
    with pytest.raises(UsageError, match="is not text"):
        find_key(tmp_path / "binary")


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        (f"Bearer {KEY}", True),
        (f"bearer  {KEY} ", True),
        (f"Basic {KEY}", False),
        (KEY, False),
        ("", False),
        ("Bearer", False),
        (f"Bearer {KEY}x", False),
        (f"Bearer {KEY[:-1]}", False),
        ("Bearer \u20ac", False),
    ],
)
def test_what_is_accepted(header: str, accepted: bool) -> None:
    assert accepts(KEY, header) is accepted
