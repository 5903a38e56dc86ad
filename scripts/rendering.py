"""What generated pages need: their templates filled, and a command that writes or checks."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kilonet.atomic import write_text
from kilonet.errors import KilonetError

REPOSITORY = Path(__file__).resolve().parents[1]


def render(template: Path, **values: Any) -> str:
    """Return the text of ``template``, a Markdown file, with ``values``; all it names are there."""
    environment = Environment(
        loader=FileSystemLoader(template.parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template.name).render(**values)


def write_or_check(
    name: str,
    changed: Callable[[str, Path], str],
    description: str,
    arguments: Sequence[str] | None,
) -> int:
    """Be the command ``scripts/NAME/page.py`` that keeps up ``docs/NAME.md``; return its status.

    ``changed`` gives the page's new text for its text and the folder of results.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; 1 if it would differ")
    parser.add_argument("--root", type=Path, default=REPOSITORY, help="the repository")
    given = parser.parse_args(arguments)
    path = given.root / "docs" / f"{name}.md"
    try:
        before = path.read_text(encoding="utf-8")
        after = changed(before, given.root / "results")
    except KilonetError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if given.check and after != before:
        print(f"docs/{name}.md differs: run python scripts/{name}/page.py", file=sys.stderr)
        return 1
    if not given.check:
        write_text(path, after)
    return 0
