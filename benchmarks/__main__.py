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
from benchmarks.entries import Settings, mnist_folder, require_contestants, require_peers
from benchmarks.results import Result, store
from benchmarks.tables import tables
from kilonet.errors import KilonetError

DEFAULT_TABLES = ("throughput", "pieces", "full", "reach")
TABLES = (*DEFAULT_TABLES, "backends")


def parser() -> argparse.ArgumentParser:
    """Return the command line's description."""
    command_line = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    command_line.add_argument("which", nargs="*", metavar="TABLE", help=f"{', '.join(TABLES)}")
    command_line.add_argument(
        "--peers", type=Path, default=ROOT / ".venv" / "peers" / "bin" / "python"
    )
    command_line.add_argument(
        "--results", type=Path, help="folder (default: results, or build/bench)"
    )
    command_line.add_argument(
        "--quick", action="store_true", help="few steps, to test the installation"
    )
    command_line.add_argument("--rounds", type=int, default=Settings.rounds)
    command_line.add_argument("--steps", type=int, default=Settings.steps)
    command_line.add_argument("--without", action="append", default=[], metavar="CONTESTANT")
    command_line.add_argument("--epochs", type=int, default=task.EPOCHS, help="epochs of 'full'")
    command_line.add_argument("--seeds", default="0", help="seeds of 'full', such as 0,1,2")
    command_line.add_argument(
        "--reach-seeds", type=int, default=10, help="number of seeds of 'reach'"
    )
    return command_line


def main() -> int:
    """Run the benchmarks; return the exit status."""
    given = parser().parse_args()
    which = given.which or DEFAULT_TABLES
    unknown = [name for name in which if name not in TABLES]
    if unknown:
        parser().error(f"no such table: {', '.join(unknown)}; choose from {', '.join(TABLES)}")
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
    """Return the function that makes each table. Modules are imported here, not at the start."""
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
    """Return the settings, after checking the contestants' names and the peers' Python."""
    require_contestants(given.without)
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
    """Print the tables and store the result; with ``--quick``, into build/bench."""
    quick = ROOT / "build" / "bench"
    path = store(result, given.results or (quick if given.quick else ROOT / "results"))
    for table in tables(result):
        console.print(table)
    console.print(f"stored in {path}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
