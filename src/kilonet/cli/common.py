"""Shared by the commands: options, and printing to standard output and standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from functools import partial
from io import TextIOBase, TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.console import (
    Console,
    ConsoleOptions,
    ConsoleRenderable,
    RenderableType,
    RenderHook,
    RenderResult,
)
from rich.control import Control
from rich.segment import Segment
from rich.text import Text

from kilonet.errors import UsageError
from kilonet.recipe.catalog import DEFAULT_RECIPE
from kilonet.text import printable, printable_json

# A switch has no value; the empty metavar keeps the help from showing a type.
Flag = partial(typer.Option, metavar="")

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        exists=True,
        file_okay=False,
        help="Folder with the data sets (default: KILONET_DATA, then the cache).",
    ),
]
OwnModel = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="MODULE:CLASS",
        help="Your own network class, if the run uses one: the code to import.",
    ),
]
FinishedRun = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="A finished run (its name or directory) or a shipped model."
    ),
]
AnyNetwork = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A finished run (its name or directory), a shipped model, a folder of weights, or an "
        "ONNX file.",
    ),
]
OtherData = Annotated[
    str | None,
    typer.Option("--data", metavar="NAME", help="Use another data set: a name, or folder:PATH."),
]
AsJson = Annotated[bool, Flag("--json", help="Print JSON.")]

# Wider than any table, so that lines are not wrapped in a file or a pipe.
UNLIMITED = 10_000


class _Printable:
    """A renderable whose texts cannot control the terminal; its styles still do."""

    def __init__(self, content: ConsoleRenderable) -> None:
        self._content = content

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for text, style, control in console.render(self._content, options):
            yield Segment(text if control else printable(text), style, control)


class SafeConsole(Console):
    """A console that prints foreign text, such as file names, without its control characters."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.push_render_hook(_PrintableHook())

    def on_broken_pipe(self) -> None:
        """Raise the BrokenPipeError; Rich would end the process."""
        raise  # noqa: PLE0704 - called while the error is handled


class _PrintableHook(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [one if isinstance(one, Control) else _Printable(one) for one in renderables]


class _ProgressStream(TextIOBase):
    """A stream for progress: when it can no longer be written to, the work goes on without it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The stream's encoding."""
        return self._stream.encoding

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the stream's file descriptor."""
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write ``text``, if that is possible."""
        try:
            return self._stream.write(text)
        except OSError as error:
            return self._give_up(error)

    def flush(self) -> None:
        """Flush the stream, if that is possible."""
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> int:
        replace_by_null(self._stream)
        note = f"Note: the work goes on, but its output cannot be written: {error.strerror}."
        print_on_stderr(Text(note))
        return 0


def replace_by_null(stream: TextIO) -> None:
    """Send to the null device what ``stream`` still has to write, and all that follows."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def output(*, progress: bool = False) -> Console:
    """Return the console for results; it prints plain text, without Rich's markup and emoji.

    If it is also for the ``progress`` of long work, that goes on when nothing can be printed.
    """
    width = None if sys.stdout.isatty() else UNLIMITED
    stream = _ProgressStream(sys.stdout) if progress else sys.stdout
    return SafeConsole(file=stream, width=width, markup=False, emoji=False, highlight=False)


def print_line(message: str) -> None:
    """Print one line of results, without wrapping."""
    output().print(message, soft_wrap=True)


def print_table(result: RenderableType) -> None:
    """Print a table without trailing spaces."""
    console = output()
    with console.capture() as captured:
        console.print(result)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    sys.stdout.write("\n".join(lines).strip("\n") + "\n")


def print_error(message: str) -> None:
    """Print an error message to standard error, if that is possible."""
    print_on_stderr(Text.assemble(("Error:", "bold red"), f" {message}"))


def print_on_stderr(line: Text) -> None:
    """Print ``line``, without wrapping, to standard error, if that is possible."""
    try:
        SafeConsole(stderr=True, highlight=False).print(line, soft_wrap=True)
    except OSError:
        replace_by_null(sys.stderr)


def replace_unencodable() -> None:
    """Print a question mark for characters, such as "✓", that the stream's encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def print_json(content: Any) -> None:
    """Print ``content`` as indented JSON."""
    typer.echo(printable_json(json.dumps(content, indent=1, ensure_ascii=False)))


def require_with(option: str, is_given: bool, others: Mapping[str, object]) -> None:
    """Refuse ``others``, by name, that have a value although ``option`` is not given."""
    for name, value in others.items():
        if value is not None and not is_given:
            raise UsageError(f"--{name} belongs to --{option}. Add --{option}, or leave it out.")


def split_words(words: list[str]) -> tuple[str, list[str]]:
    """Return the recipe and the overrides: the recipe is the one word without an equals sign.

    Without a recipe it is the default recipe.
    """
    recipes = [word for word in words if "=" not in word]
    if len(recipes) > 1:
        raise UsageError(
            f'One recipe at a time: got "{recipes[0]}" and "{recipes[1]}". '
            "Keys are changed as KEY=VALUE, without spaces."
        )
    return (recipes or [DEFAULT_RECIPE])[0], [word for word in words if "=" in word]
