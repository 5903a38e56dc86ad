"""``kilonet predict``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kilonet.cli import console
from kilonet.cli.options import AsJson, Flag

if TYPE_CHECKING:
    from kilonet.inference.read import Outcome


def predict(
    pictures: Annotated[
        list[Path], typer.Argument(metavar="PICTURE...", help="Files that show a digit each.")
    ],
    model: Annotated[
        str | None,
        typer.Option(
            "--model", metavar="NAME", help="A run or an ONNX file (default: kilonet-25k)."
        ),
    ] = None,
    min_confidence: Annotated[
        float,
        typer.Option("--min-confidence", metavar="P", help='Below P (0 to 1), answer "unsure".'),
    ] = 0.0,
    split: Annotated[bool, Flag("--split", help="Read several digits, left to right.")] = False,
    as_json: AsJson = False,
) -> int:
    """Read the digit in each picture: the digit, how sure, and the runner-up."""
    from kilonet.inference import reader

    reads = reader(model)
    outcomes = reads.stream(pictures, min_confidence=min_confidence, several=split)
    names = [str(picture) for picture in pictures]
    found = zip(names, _with_progress(outcomes, len(names)), strict=True)
    return _print_json(found, split) if as_json else _print_table(found, reads.classes)


def _with_progress(outcomes: Iterator[Outcome], total: int) -> Iterator[Outcome]:
    """Show a bar on a terminal; lines that are printed meanwhile stand above it."""
    if total == 1 or not sys.stderr.isatty():
        yield from outcomes
        return
    from rich.console import Console
    from rich.progress import Progress

    screen, above = Console(stderr=True), sys.stdout.isatty()
    with Progress(console=screen, transient=True, redirect_stdout=above) as progress:
        yield from progress.track(outcomes, total=total, description="reading")


def _print_table(found: Iterable[tuple[str, Outcome]], classes: Sequence[str]) -> int:
    from kilonet.inference.results import Table

    table = Table(classes)
    failed = headed = False
    for name, outcome in found:
        if isinstance(outcome, list):
            lines = [] if headed else [table.heading()]
            lines += [table.row(reading, name) for reading in outcome]
            console.say("\n".join(lines))
            headed = True
        else:
            console.fail(str(outcome))
            failed = True
    return int(failed)


def _print_json(found: Iterable[tuple[str, Outcome]], split: bool) -> int:
    """Print one list, an entry a line, as they come."""
    failed, before = False, "[\n"
    for name, outcome in found:
        typer.echo(before + json.dumps(_entry(name, outcome, split), ensure_ascii=False), nl=False)
        failed, before = failed or not isinstance(outcome, list), ",\n"
    typer.echo("\n]")
    return int(failed)


def _entry(name: str, outcome: Outcome, split: bool) -> dict[str, Any]:
    if not isinstance(outcome, list):
        return {"picture": name, "error": outcome.kind, "message": str(outcome)}
    if split:
        return {"picture": name, "digits": [reading.to_json() for reading in outcome]}
    return {"picture": name, **outcome[0].to_json()}
