"""The command line: each command parses its arguments, calls one function and prints."""

from kilonet.cli.main import main

__all__ = ["main"]
