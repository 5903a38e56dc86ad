"""``kilonet serve``: its command line (tests/serve has the service)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from commands import Command

from classifier import write_classifier
from kilonet.serve.server import bind
from kilonet.serve.settings import Settings, option


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_classifier(tmp_path_factory.mktemp("serve") / "templates.onnx")


def test_every_setting_is_an_option(kilonet: Command) -> None:
    result = kilonet("serve", "--help")
    assert all(option(one.name) in result.out for one in fields(Settings))


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--port", "70000"], "--port is 70000; it must be 0 to 65535."),
        (["--max-batch", "0"], "--max-batch is 0; it must be at least 1."),
        (["--api-key-file", "none"], "none cannot be read"),
        (["--max-batch", "many"], "Invalid value for '--max-batch'"),
    ],
)
def test_a_wrong_command_line(
    refused: Callable[..., str], model: Path, words: list[str], text: str
) -> None:
    assert text in refused("serve", model, *words)


def test_a_model_that_is_none(refused: Callable[..., str]) -> None:
    assert "There is no run" in refused("serve", "gap")


def test_a_port_in_use(refused: Callable[..., str], model: Path) -> None:
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"Port {port} of 127.0.0.1 is in use" in refused(
            "serve", model, "--port", port, status=1
        )
