"""Fill the marked regions of README.md and docs/ with tables from results/, and draw the plots.

    python experiments/render_docs.py            # after a result, a command or a recipe key changed
    python experiments/render_docs.py --check    # change nothing; exit 1 and name each stale page

The pages are written by hand. A region is a table on lines of its own, or a value in a sentence:

    <!-- table: seeds gap-14k -->
    ... the table, rewritten by this program ...
    <!-- end -->

    It reached <!-- value: accuracy gap-14k -->99.292 ± 0.084 % (10 seeds)<!-- end -->.

The first word names an entry of ``TABLES``, the others are its arguments. Most tables are declared
in ``doc_tables/tables.toml``.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))  # for benchmarks

from doc_tables import findings, frontier, measurements, performance, reference, reproduction
from doc_tables.tables import declared_tables
from kilonet.errors import KilonetError, UsageError, nearest
from kilonet.files import write_text

REGION = re.compile(r"<!-- (table|value): (.+?) -->(.*?)<!-- end -->", re.DOTALL)
BEGIN = re.compile(r"<!-- (?:table|value): ")
ROW_MODULES = (findings, frontier, measurements, performance, reproduction)
TABLES: dict[str, Callable[..., str]] = {
    **declared_tables([each for module in ROW_MODULES for each in module.ROWS]),
    "by-epoch": reproduction.by_epoch,
    "commands": reference.commands,
    "equivalence": performance.equivalence,
    "findings": findings.findings,
    "frontier-trials": frontier.trials,
    "recipe-keys": reference.recipe_keys,
    "recipe-texts": reference.recipe_texts,
    "result": reproduction.result,
    "robustness-kinds": measurements.robustness_kinds,
    "seeds": reproduction.seeds,
    "settings": reproduction.settings,
}


def render(page: str, results: Path) -> str:
    """Return ``page`` with every region filled from the folder ``results``.

    Raises:
        KilonetError: a region names no table or has no end, or a results file is missing or wrong.
    """

    def fill(region: re.Match[str]) -> str:
        kind, request, _ = region.groups()
        name, *arguments = request.split()
        if name not in TABLES:
            raise UsageError(f'There is no table "{name}".{nearest(name, list(TABLES))}')
        text = TABLES[name](results, *arguments)
        text = f"\n\n{text}\n\n" if kind == "table" else text
        return f"<!-- {kind}: {request} -->{text}<!-- end -->"

    begins, ends = len(BEGIN.findall(page)), page.count("<!-- end -->")
    if not begins == ends == len(REGION.findall(page)):
        raise UsageError(f"A region has no <!-- end -->: {begins} begin, {ends} end. Add it.")
    return REGION.sub(fill, page)


def pages(root: Path) -> Iterator[Path]:
    """Yield the README and every page under docs/."""
    yield root / "README.md"
    yield from sorted((root / "docs").rglob("*.md"))


def main(arguments: list[str] | None = None) -> int:
    """Write or check the pages; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if stale")
    parser.add_argument("--root", type=Path, default=REPOSITORY, help="the repository")
    given = parser.parse_args(arguments)
    results, stale = given.root / "results", False
    for path in pages(given.root):
        page = path.read_text(encoding="utf-8")
        try:
            text = render(page, results)
        except KilonetError as error:
            print(f"{path.relative_to(given.root)}: {error}", file=sys.stderr)
            return error.exit_code
        if text != page and given.check:
            stale = True
            print(f"{path.relative_to(given.root)} is stale: run make docs", file=sys.stderr)
        elif text != page:
            write_text(path, text)
    if not given.check:
        from doc_tables.plots import draw_all

        draw_all(results, given.root / "docs" / "img")
    return int(stale)


if __name__ == "__main__":
    sys.exit(main())
