"""Printing: results to standard output, errors to standard error."""

from __future__ import annotations

import sys
from io import TextIOWrapper

from rich.console import Console, RenderableType
from rich.text import Text

# Wider than any table, so that lines are not wrapped in a file or a pipe.
UNLIMITED = 10_000


def output() -> Console:
    """Return the console for results; it prints plain text, without Rich's markup and emoji."""
    width = None if sys.stdout.isatty() else UNLIMITED
    return Console(file=sys.stdout, width=width, markup=False, emoji=False, highlight=False)


def say(message: str) -> None:
    """Print one line of results, without wrapping."""
    output().print(message, soft_wrap=True)


def show(result: RenderableType) -> None:
    """Print a table without trailing spaces."""
    console = output()
    with console.capture() as captured:
        console.print(result)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    sys.stdout.write("\n".join(lines).strip("\n") + "\n")


def fail(message: str) -> None:
    """Print an error message to standard error."""
    console = Console(stderr=True, highlight=False)
    console.print(Text.assemble(("Error:", "bold red"), f" {message}"), soft_wrap=True)


def tolerate_old_encodings() -> None:
    """Print a question mark for characters, such as "✓", that the stream's encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
