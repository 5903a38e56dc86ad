"""Write the generated pages under docs/, README.md's table and the training curves.

    python scripts/make_docs.py            # after results/*.json or scripts/claims.toml changed
    python scripts/make_docs.py --check    # exit 1 and name each text that would change

What the pages claim is in ``scripts/claims.toml``, what was measured in ``results/*.json``; every
figure in the texts comes from one of the two.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the layouts of benchmarks

from datasets.page import datasets
from exporting.measured import read_exported
from exporting.page import exporting
from findings.page import findings
from frontier.measured import Frontier, read_frontier
from frontier.page import frontier
from kilonet.atomic import write_text
from kilonet.errors import KilonetError
from performance.measured import read_measured
from performance.page import performance
from reproduction.claims import Claims, read_claims
from reproduction.pages import readme, reproduction
from reproduction.results import read_results
from shipping.page import shipping

REPOSITORY = Path(__file__).resolve().parents[1]


def texts(root: Path, claims: Claims) -> dict[Path, str]:
    """Return each generated text by its path under ``root``; the README only where there is one.

    Raises:
        KilonetError: a results file or the README is not what it should be.
    """
    results = read_results(root / "results", claims)
    measured = read_measured(root / "results")
    found = {
        root / "docs" / "reproduction.md": reproduction(claims, results),
        root / "docs" / "performance.md": performance(measured, results),
        root / "docs" / "datasets.md": datasets(root / "results"),
        root / "docs" / "shipping.md": shipping(root / "results"),
        root / "docs" / "frontier.md": frontier(_frontier(root, claims)),
        root / "docs" / "findings.md": findings(root / "results"),
        root / "docs" / "exporting.md": exporting(read_exported(root / "results")),
    }
    path = root / "README.md"
    if path.exists():
        found[path] = readme(path.read_text(encoding="utf-8"), claims, results)
    return found


def _frontier(root: Path, claims: Claims) -> Frontier:
    """Return what the frontier's page shows: beside it, recipes of this size as they are."""
    results = read_results(root / "results", claims)
    names = (
        "simple-8k",
        "simple-8k-plus",
        "gap-14k",
        "gap-14k-plus",
        "fast-99.4",
        "plain-valid-adam",
    )
    return read_frontier(root / "results", {n: results[n] for n in names if n in results})


def differing(root: Path, claims: Claims) -> list[Path]:
    """Return the paths, relative to ``root``, of the texts that writing them would change."""
    return [
        path.relative_to(root)
        for path, text in texts(root, claims).items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def write(root: Path, claims: Claims) -> None:
    """Write the texts, and the pictures of what there is to draw."""
    from frontier.plot import draw_frontier
    from reproduction.curves import draw_curves

    for path, text in texts(root, claims).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    results = read_results(root / "results", claims)
    pictures = root / "docs" / "img"
    reached = _frontier(root, claims)
    if any(row.result is not None for row in reached.rows):
        pictures.mkdir(parents=True, exist_ok=True)
        draw_frontier(reached, pictures / "frontier.png")
    drawn = [results[label] for label in claims.curves.recipes if label in results]
    if drawn:
        pictures.mkdir(parents=True, exist_ok=True)
        draw_curves(drawn, pictures / "training-curves.png")


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line asks; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; 1 if a text differs")
    parser.add_argument("--root", type=Path, default=REPOSITORY, help="the repository")
    given = parser.parse_args(arguments)
    try:
        claims = read_claims(given.root / "scripts" / "claims.toml")
        if not given.check:
            write(given.root, claims)
            return 0
        stale = differing(given.root, claims)
    except KilonetError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    for path in stale:
        print(f"{path} differs: run python scripts/make_docs.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
