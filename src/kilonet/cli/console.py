"""Where the commands print."""

from __future__ import annotations

import sys
from io import TextIOWrapper

from rich.console import Console, RenderableType
from rich.text import Text

# Wider than any table: what is piped into a file or another program is not folded to a width.
UNLIMITED = 10_000


def output() -> Console:
    """Return the console for results: what it prints is text, not markup with [tags] or :icons:."""
    width = None if sys.stdout.isatty() else UNLIMITED
    return Console(file=sys.stdout, width=width, markup=False, emoji=False, highlight=False)


def say(message: str) -> None:
    """Print one line of results, unfolded."""
    output().print(message, soft_wrap=True)


def show(result: RenderableType) -> None:
    """Print a table, without the spaces that it is padded with on the right."""
    console = output()
    with console.capture() as captured:
        console.print(result)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    sys.stdout.write("\n".join(lines).strip("\n") + "\n")


def fail(message: str) -> None:
    """Print the one message of a failure to standard error."""
    console = Console(stderr=True, highlight=False)
    console.print(Text.assemble(("Error:", "bold red"), f" {message}"), soft_wrap=True)


def tolerate_old_encodings() -> None:
    """Let a stream that cannot say "✓" or "→" print a question mark instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
