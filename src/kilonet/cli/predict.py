"""``kilonet predict``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import digits
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kilonet.cli.common import AsJson, Flag, SafeConsole, print_error, print_line
from kilonet.text import printable_json

if TYPE_CHECKING:
    from kilonet.inference.predict import PictureResult, Prediction


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
    force: Annotated[
        bool, Flag("--force", help="Predict also what does not look like a digit.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Predict the digit in each picture: the digit, its probability, and the runner-up."""
    from kilonet.inference.predict import reader

    model_reader = reader(model)
    results = model_reader.stream(
        pictures, min_confidence=min_confidence, several=split, force=force
    )
    names = [str(picture) for picture in pictures]
    named = zip(names, _with_progress(results, len(names)), strict=True)
    return _print_json(named, split) if as_json else _print_table(named, model_reader.classes)


def _with_progress(results: Iterator[PictureResult], total: int) -> Iterator[PictureResult]:
    """Show a progress bar on a terminal; lines printed meanwhile appear above it."""
    if total == 1 or not sys.stderr.isatty():
        yield from results
        return
    from rich.progress import Progress

    screen, above = SafeConsole(stderr=True), sys.stdout.isatty()
    with Progress(console=screen, transient=True, redirect_stdout=above) as progress:
        yield from progress.track(results, total=total, description="reading")


def _print_table(results: Iterable[tuple[str, PictureResult]], classes: Sequence[str]) -> int:
    table = PredictionTable(classes)
    failed = has_heading = False
    for name, result in results:
        if isinstance(result, list):
            lines = [] if has_heading else [table.heading()]
            lines += [table.row(prediction, name) for prediction in result]
            lines += [f"{name}: {note}" for note in _all_notes(result)]
            print_line("\n".join(lines))
            has_heading = True
        else:
            print_error(str(result))
            failed = True
    return int(failed)


def _all_notes(predictions: Sequence[Prediction]) -> list[str]:
    """Return each note once, in order."""
    return list(dict.fromkeys(note for one in predictions for note in one.notes))


@dataclass(frozen=True)
class PredictionTable:
    """Predictions as lines of text, in columns wide enough for the names of ``classes``."""

    classes: Sequence[str]

    def heading(self) -> str:
        """Return the line above all rows."""
        first = "digit" if set(self.classes) <= set(digits) else "class"
        return self._line(first, "confidence", "runner-up", "confidence", "picture")

    def row(self, prediction: Prediction, picture: str) -> str:
        """Return the line of one prediction; the picture's name is last, so it may be long."""
        first = _unsure(prediction.digit) if prediction.unsure else prediction.digit
        first_share = f"{prediction.confidence:.2%}"
        second_share = f"{prediction.runner_up_confidence:.2%}"
        return self._line(first, first_share, prediction.runner_up, second_share, picture)

    def _line(
        self, first: str, first_share: str, second: str, second_share: str, picture: str
    ) -> str:
        longest = max(self.classes, key=len)
        wide, narrow = len(_unsure(longest)), max(len(longest), len("runner-up"))
        shares = f"{first_share:>10}  {second:>{narrow}}  {second_share:>10}"
        return f"{first:<{wide}}  {shares}  {picture}"


def _unsure(name: str) -> str:
    return f"unsure ({name})"


def _print_json(results: Iterable[tuple[str, PictureResult]], split: bool) -> int:
    """Print one JSON list, an entry per line, as results arrive."""
    failed, before = False, "[\n"
    for name, result in results:
        typer.echo(
            before + printable_json(json.dumps(_entry(name, result, split), ensure_ascii=False)),
            nl=False,
        )
        failed, before = failed or not isinstance(result, list), ",\n"
    typer.echo("\n]")
    return int(failed)


def _entry(name: str, result: PictureResult, split: bool) -> dict[str, Any]:
    if not isinstance(result, list):
        return {"picture": name, "error": result.kind, "message": str(result)}
    if split:
        return {"picture": name, "digits": [prediction.to_json() for prediction in result]}
    return {"picture": name, **result[0].to_json()}
