"""``make bench``: compare Kilonet with its peers, print the tables and store them.

python -m benchmarks [throughput] [full] [pieces] [reach] [backends] [--quick] ...
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmarks.contest import ROOT
from benchmarks.contestants import task
from benchmarks.entries import Settings, mnist_folder, require_names, require_peers
from benchmarks.results import Result, store
from benchmarks.tables import tables
from kilonet.errors import KilonetError

USUAL = ("throughput", "pieces", "full", "reach")
KNOWN = (*USUAL, "backends")


def parser() -> argparse.ArgumentParser:
    """Return the command line's description."""
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    made.add_argument("which", nargs="*", metavar="TABLE", help=f"{', '.join(KNOWN)}")
    made.add_argument("--peers", type=Path, default=ROOT / ".venv" / "peers" / "bin" / "python")
    made.add_argument("--results", type=Path, help="folder (default: results, or build/bench)")
    made.add_argument("--quick", action="store_true", help="few steps: shows that it works")
    made.add_argument("--rounds", type=int, default=Settings.rounds)
    made.add_argument("--steps", type=int, default=Settings.steps)
    made.add_argument("--without", action="append", default=[], metavar="CONTESTANT")
    made.add_argument("--epochs", type=int, default=task.EPOCHS, help="of the full runs")
    made.add_argument("--seeds", default="0", help="of the full runs, such as 0,1,2")
    made.add_argument("--reach-seeds", type=int, default=10, help="how many, of the reach table")
    return made


def main() -> int:
    """Run the benchmarks; return the exit status."""
    given = parser().parse_args()
    which = given.which or USUAL
    unknown = [name for name in which if name not in KNOWN]
    if unknown:
        parser().error(f"no such table: {', '.join(unknown)}; choose from {', '.join(KNOWN)}")
    console = Console(width=None if sys.stdout.isatty() else 140)
    try:
        for name in which:
            report(jobs(given)[name](), given, console)
    except KilonetError as error:
        Console(stderr=True).print(str(error), highlight=False, markup=False, soft_wrap=True)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def jobs(given: argparse.Namespace) -> dict[str, Callable[[], Result]]:
    """Return the function that makes each table; imports happen here."""
    from benchmarks import ablation, backends, full, throughput, time_to_accuracy

    settings = settings_of(given)
    epochs = 1 if given.quick else given.epochs
    seeds = [int(seed) for seed in given.seeds.split(",")]
    reach_seeds = range(1 if given.quick else given.reach_seeds)
    return {
        "throughput": lambda: throughput.run(settings),
        "pieces": lambda: ablation.run(settings),
        "full": lambda: full.run(settings, epochs, seeds),
        "reach": lambda: time_to_accuracy.run(settings, reach_seeds),
        "backends": lambda: backends.run(settings),
    }


def settings_of(given: argparse.Namespace) -> Settings:
    """Return the settings, after checking names and Python."""
    require_names(given.without)
    require_peers(given.peers)
    settings = Settings(
        peers=given.peers,
        data=mnist_folder(),
        rounds=given.rounds,
        steps=given.steps,
        without=tuple(given.without),
    )
    return replace(settings, rounds=2, steps=2, lead_in=0, quick=True) if given.quick else settings


def report(result: Result, given: argparse.Namespace, console: Console) -> None:
    """Print the tables and store the result; a quick one goes to another folder."""
    quick = ROOT / "build" / "bench"
    path = store(result, given.results or (quick if given.quick else ROOT / "results"))
    for table in tables(result):
        console.print(table)
    console.print(f"stored in {path}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
