"""The command line: one thin command per file; each parses, calls the API and prints."""

from kilonet.cli.main import main

__all__ = ["main"]
