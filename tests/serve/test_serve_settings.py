"""Settings: ranges and options; and the API key."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from kilonet.errors import UsageError
from kilonet.serve.settings import (
    KEY_VARIABLE,
    Settings,
    accepts,
    find_key,
    help_text,
    option,
)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"port": 65536}, "--port is 65536; it must be 0 to 65535."),
        ({"port": -1}, "--port is -1"),
        ({"max_body": 0}, "--max-body is 0; it must be at least 1."),
        ({"max_pixels": 783}, "at least 784"),
        ({"body_seconds": float("nan")}, "--body-seconds is nan"),
        ({"work_seconds": 0.0}, "at least 0.01"),
        ({"workers": -1}, "0 to 1024"),
    ],
)
def test_values_out_of_range(given: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Settings(**given)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_there_is_one_worker_per_core_by_default() -> None:
    assert Settings().processes >= 1
    assert Settings(workers=7).processes == 7


def test_only_this_machine_can_connect_by_default() -> None:
    assert Settings().host == "127.0.0.1"


def test_every_setting_has_a_sentence_and_an_option() -> None:
    for one in fields(Settings):
        assert help_text(one.name).endswith(".")
    assert option("max_at_once") == "--max-at-once"


KEY = "correct-horse-battery"


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


def test_the_key_comes_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_key(None) is None
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    assert find_key(file) == KEY
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    assert find_key(None) == KEY
    with pytest.raises(UsageError, match="two API keys"):
        find_key(file)


@pytest.mark.parametrize("text", ["", "short", "with a space in the middle", "ключ" * 5])
def test_invalid_keys(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="must be one word of at least 16"):
        find_key(file)
    monkeypatch.setenv(KEY_VARIABLE, text)
    with pytest.raises(UsageError, match=KEY_VARIABLE):
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
def test_authorization_headers(header: str, accepted: bool) -> None:
    assert accepts(KEY, header) is accepted
