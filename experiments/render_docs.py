"""Fill the marked regions of README.md and docs/ with tables from results/, and draw the plots.

    python experiments/render_docs.py            # after a result, a command or a recipe key changed
    python experiments/render_docs.py --check    # change nothing; exit 1 and name each stale page

The pages are written by hand. A region is a table on lines of its own, or a value in a sentence:

    <!-- table: seeds gap-14k -->
    ... the table, rewritten by this program ...
    <!-- end -->

    It reached <!-- value: accuracy gap-14k -->99.292 ± 0.084 % (10 seeds)<!-- end -->.

The first word names an entry of ``TABLES``, the others are its arguments.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))  # for benchmarks

from doc_tables import (
    datasets,
    exports,
    findings,
    frontier,
    performance,
    reference,
    reproduction,
    shipping,
)
from kilonet.errors import KilonetError, UsageError, nearest
from kilonet.files import write_text

REGION = re.compile(r"<!-- (table|value): (.+?) -->(.*?)<!-- end -->", re.DOTALL)
BEGIN = re.compile(r"<!-- (?:table|value): ")
TABLES: dict[str, Callable[..., str]] = {
    "accuracy": reproduction.accuracy,
    "audit": datasets.audit,
    "by-epoch": reproduction.by_epoch,
    "claims": reproduction.claims,
    "claims-held": reproduction.claims_held,
    "commands": reference.commands,
    "confidences": shipping.confidences,
    "datasets": datasets.datasets,
    "doubtful-labels": datasets.doubtful,
    "environments": reproduction.environments,
    "equivalence": performance.equivalence,
    "export-agreement": exports.agreement,
    "export-archives": exports.archives,
    "export-example": exports.example,
    "export-measurement": exports.measurement,
    "export-sizes": exports.sizes,
    "findings": findings.findings,
    "findings-machines": findings.machines,
    "findings-overview": findings.overview,
    "findings-rates": findings.rates,
    "frontier-budgets": frontier.budgets,
    "frontier-networks": frontier.networks,
    "frontier-records": frontier.records,
    "frontier-trials": frontier.trials,
    "full": performance.full,
    "origins": reproduction.origins,
    "performance-machine": performance.machine,
    "pictures": shipping.pictures,
    "pictures-source": shipping.pictures_source,
    "pieces": performance.pieces,
    "reach": performance.reach,
    "recipe-keys": reference.recipe_keys,
    "recipe-texts": reference.recipe_texts,
    "recipes": reproduction.recipes,
    "refusals": shipping.refusals,
    "result": reproduction.result,
    "robustness": shipping.robustness,
    "robustness-kinds": shipping.robustness_kinds,
    "robustness-source": shipping.robustness_source,
    "seeds": reproduction.seeds,
    "service": shipping.service,
    "settings": reproduction.settings,
    "shipping": shipping.shipping,
    "sources": datasets.sources,
    "studies": shipping.studies,
    "study-example": shipping.study_example,
    "throughput": performance.throughput,
}


def rendered(page: str, results: Path) -> str:
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

    begun, ended = len(BEGIN.findall(page)), page.count("<!-- end -->")
    if not begun == ended == len(REGION.findall(page)):
        raise UsageError(f"A region has no <!-- end -->: {begun} begin, {ended} end. Add it.")
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
            text = rendered(page, results)
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
