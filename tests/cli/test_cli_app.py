"""The whole command: help, exit status, error messages."""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from commands import Command

from kilonet import __version__
from kilonet.cli import common, tables
from kilonet.errors import DataError, MissingExtraError, RecipeError

COMMANDS = ["recipes", "train", "evaluate", "summary", "check", "runs", "data", "serve"]
SUBCOMMANDS = [["recipes", "ls"], ["recipes", "show"], ["recipes", "copy"]]
SUBCOMMANDS += [["data", "ls"], ["data", "fetch"], ["data", "show"]]


def python(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, check=False, **options)


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []])
def test_help_names_every_command(kilonet: Command, arguments: list[str]) -> None:
    result = kilonet(*arguments)
    assert (result.status, result.err) == (0, "")
    assert "Usage: kilonet" in result.out
    assert all(f" {name} " in result.out for name in COMMANDS)


@pytest.mark.parametrize("command", [[name] for name in COMMANDS] + SUBCOMMANDS, ids=" ".join)
def test_every_command_has_help(kilonet: Command, command: list[str]) -> None:
    result = kilonet(*command, "--help")
    assert (result.status, result.err) == (0, "")
    assert f"Usage: kilonet {' '.join(command)}" in result.out
    # All it takes is a name of its own and a sentence; a bare type says that both were forgotten.
    assert "<int>" not in result.out
    assert "<float>" not in result.out


def test_version(kilonet: Command) -> None:
    assert kilonet("--version").out == f"kilonet {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["trian"], "No such command 'trian'. Did you mean 'train'? Try \"kilonet --help\"."),
        (["recipes", "lst"], '"kilonet recipes --help"'),
        (["train", "--epochs", "3"], "No such option: --epochs"),
        (["check"], "Missing argument 'RUN'"),
        (["check", "a", "--max-epochs", "many"], "Invalid value for '--max-epochs'"),
        (["check", "a", "b"], "unexpected extra argument"),
        (
            ["study", "quick", "--on", "moon"],
            "'moon' is not one of 'local', 'ray'",
        ),
    ],
)
def test_a_wrong_command_line(refused: Callable[..., str], arguments: list[str], text: str) -> None:
    assert text in refused(*arguments)


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (DataError("no [red]data[/red] :cat:"), 1, "no [red]data[/red] :cat:"),
        (RecipeError("wrong"), 2, "wrong"),
        (MissingExtraError("train", "torch"), 1, 'pip install "kilonet[train]"'),
        (KeyboardInterrupt(), 130, "Stopped."),
        (ValueError("unexpected\nand more"), 1, "ValueError: unexpected. This is a bug in Kilonet"),
        (ValueError(), 1, "ValueError. This is a bug"),
        (RecursionError("deep"), 1, "RecursionError: deep. This"),
    ],
)
def test_every_error_is_one_message(
    refused: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    status: int,
    text: str,
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(tables, "recipes_table", fail)
    assert text in refused("recipes", status=status)


def test_a_variable_shows_the_traceback_of_a_bug(
    kilonet: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "recipes_table", lambda: 1 / 0)
    monkeypatch.setenv("KILONET_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        kilonet("recipes")


MEMORY = "There is not enough memory. Close other programs.\n"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            OSError(28, "No space left"),
            "Cannot write the output: No space left.\n",
        ),
        (OSError(5, "Input/output error", "/a/b"), "/a/b: Input/output error.\n"),
        (OSError("no reason"), "no reason.\n"),
        (OSError(2, "No usable temporary directory"), "No usable temporary directory.\n"),
        (RuntimeError("alloc_cpu.cpp:127: can't allocate memory: you tried to allocate 9"), MEMORY),
        (RuntimeError("CUDA out of memory."), MEMORY),
        (RuntimeError("std::bad_alloc"), MEMORY),
        (OSError(12, "Cannot allocate memory"), MEMORY),
        (MemoryError(), MEMORY),
    ],
)
def test_errors_of_the_system_are_no_bugs(
    kilonet: Command, monkeypatch: pytest.MonkeyPatch, error: Exception, text: str
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(tables, "recipes_table", fail)
    assert kilonet("recipes").err == f"Error: {text}"


def test_the_process_exits_with_the_status() -> None:
    assert python("-m", "kilonet", "trian").returncode == 2


def test_long_messages_are_not_wrapped(refused: Callable[..., str]) -> None:
    assert "x" * 300 in refused("recipes", "show", "x" * 300)


def test_unencodable_characters_become_question_marks() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = python("-m", "kilonet", "recipes", env=environment)
    assert done.returncode == 0, done.stderr
    assert b"1?1 transitions" in done.stdout


def test_a_closed_pipe_is_not_a_failure() -> None:
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "kilonet", "recipes", "show", "quick"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
    assert errors == b""
    assert process.returncode == 0


def test_help_is_fast() -> None:
    """At most 0.3 s of CPU time; the best of three, because the machine may be busy."""
    best = min(_seconds_for_help() for _ in range(3))
    assert best < 0.3


def _seconds_for_help() -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert python("-m", "kilonet", "--help").returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_imports_only_what_it_needs(arguments: list[str]) -> None:
    heavy = "torch numpy pydantic matplotlib sklearn scipy onnx pooch jinja2 safetensors PIL"
    code = (
        f"import sys; from kilonet.cli.app import run; run({arguments!r}); "
        f"print(set({heavy!r}.split()) & set(sys.modules), file=sys.stderr)"
    )
    assert python("-c", code).stderr == b"set()\n"


@pytest.mark.parametrize(
    "arguments", [["recipes"], ["recipes", "show", "quick"], ["runs"], ["data"]]
)
def test_listing_does_not_import_torch(arguments: list[str]) -> None:
    code = (
        f"import sys; from kilonet.cli.app import run; run({arguments!r}); "
        "print({'torch', 'sklearn', 'matplotlib', 'onnx'} & set(sys.modules), file=sys.stderr)"
    )
    assert python("-c", code).stderr == b"set()\n"


def test_output_is_as_wide_as_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "33")
    assert common.output().width == 33
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert common.output().width == common.UNLIMITED
