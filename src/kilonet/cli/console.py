"""Where the commands print."""

from __future__ import annotations

import sys

from rich.console import Console


def output() -> Console:
    """Return the console for results; lines are not cut to a width where it is no terminal."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else 160)


def errors() -> Console:
    """Return the console for the one message of a failure."""
    return Console(stderr=True)
