"""Settings: ranges, names, and the docs' table."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from kilonet.errors import UsageError
from kilonet.serve.settings import Settings, limits_table, option, words

DOCS = Path(__file__).resolve().parents[2] / "docs" / "serving.md"


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
def test_what_is_out_of_range(given: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Settings(**given)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_workers_are_one_a_core_or_as_many_as_are_asked_for() -> None:
    assert Settings().processes >= 1
    assert Settings(workers=7).processes == 7


def test_it_listens_to_this_machine_alone_unless_told_otherwise() -> None:
    assert Settings().host == "127.0.0.1"


def test_every_setting_has_a_sentence_and_an_option() -> None:
    for one in fields(Settings):
        assert words(one.name).endswith(".")
    assert option("max_at_once") == "--max-at-once"


def test_the_table_in_the_docs_is_that_of_the_settings() -> None:
    assert limits_table() in DOCS.read_text(encoding="utf-8")
