"""Write docs/reference/recipe.md and docs/reference/cli.md from the code that they tell of.

python scripts/reference/page.py            # after a key, a command or a help text changed
python scripts/reference/page.py --check    # exit 1 and name each page that would change
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kilonet.atomic import write_text
from kilonet.recipe.keys import SCALARS
from kilonet.recipe.schema import Recipe
from reference.commands import commands
from reference.keys import rows, sections
from rendering import REPOSITORY, render

HERE = Path(__file__).parent


def pages() -> dict[str, str]:
    """Return the text of each page by its name."""
    texts = rows(Recipe, SCALARS)
    return {
        "recipe.md": render(HERE / "recipe.md.j2", sections=sections(), texts=texts),
        "cli.md": render(HERE / "cli.md.j2", commands=commands()),
    }


def main(arguments: list[str] | None = None) -> int:
    """Write or check the pages; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; 1 if a page differs")
    parser.add_argument("--root", type=Path, default=REPOSITORY, help="the repository")
    given = parser.parse_args(arguments)
    folder, status = given.root / "docs" / "reference", 0
    for name, text in pages().items():
        path = folder / name
        if not given.check:
            folder.mkdir(parents=True, exist_ok=True)
            write_text(path, text)
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            said = f"docs/reference/{name} differs: run python scripts/reference/page.py"
            print(said, file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
