"""Write the tables of docs/pictures.md from results/pictures-development.json.

python scripts/pictures/page.py            # after scripts/pictures/measure.py
python scripts/pictures/page.py --check    # exit 1 if the page would change
"""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import BaseModel, ValidationError

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kilonet.errors import UsageError
from kilonet.evaluation.statistics import wilson
from rendering import write_or_check
from reproduction.words import between, percent, table

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"


class Digits(BaseModel):
    """How pictures of one kind were read."""

    total: int
    right: int
    refused: int


class Refusals(BaseModel):
    """How often what is no digit was refused, and for the right reason."""

    total: int
    as_named: int
    refused: int


class Sure(BaseModel):
    """How many pictures were read at each confidence, and how many of these right."""

    total: int
    read: list[int]
    right: list[int] = []


class Network(BaseModel):
    """What read the prepared pictures."""

    recipe: str
    fingerprint: str
    parameters: int
    epochs: int
    held_back: float


class Result(BaseModel):
    """The content of ``results/pictures-development.json``."""

    network: Network
    digits: dict[str, Digits]
    confidences: list[float]
    sure: dict[str, Sure]
    refusals: dict[str, Refusals]
    milliseconds: dict[str, float]
    environment: dict[str, str]


REASONS = {
    "blank": "one grey all over",
    "noise": "random pixels",
    "too-small": "a dot of at most five pixels",
    "several": "two to four digits side by side",
}


def read_result(path: Path) -> Result:
    """Return the stored result.

    Raises:
        UsageError: there is none, or it is not what the measurement writes.
    """
    try:
        return Result.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        what = str(error).splitlines()[0]
        raise UsageError(f"{path}: {what}. Run scripts/pictures/measure.py again.") from None


def with_tables(page: str, result: Result) -> str:
    """Return ``page`` with what is between its two marks written anew.

    Raises:
        UsageError: a mark is missing, or there twice.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(END) < page.index(BEGIN):
        raise UsageError(f"docs/pictures.md must have {BEGIN} and then {END}, once each.")
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{tables(result)}\n\n{END}{rest.partition(END)[2]}"


def tables(result: Result) -> str:
    """Return the tables and the sentence on where they come from."""
    network, where = result.network, result.environment
    source = (
        f"Read by a `{network.recipe}` ({network.parameters:,} parameters, recipe fingerprint "
        f"`{network.fingerprint}`) that has seen {percent(100 * (1 - network.held_back), 0)} % of "
        f"the training images for {network.epochs} epochs, measured at commit "
        f"`{where['commit'] or 'unknown'}` with NumPy {where['numpy']} and Pillow "
        f"{where['pillow']} on {where['processor']}. Preparing a plain picture took "
        f"{result.milliseconds['plain']} ms."
    )
    parts = [_digits(result.digits), _refusals(result.refusals), SURE, _sure(result), source]
    return "\n\n".join(parts)


def _digits(found: dict[str, Digits]) -> str:
    rows = [_digits_row(kind, count) for kind, count in found.items()]
    whole = Digits(
        total=sum(count.total for count in found.values()),
        right=sum(count.right for count in found.values()),
        refused=sum(count.refused for count in found.values()),
    )
    headings = ["kind", "pictures", "read right, %", "95 % Wilson interval", "refused"]
    return table(headings, [*rows, _digits_row("all", whole)], texts=(0,))


def _digits_row(kind: str, count: Digits) -> list[str]:
    low, high = wilson(count.right, count.total)
    share = percent(100 * count.right / count.total)
    return [kind, str(count.total), share, between((100 * low, 100 * high)), str(count.refused)]


SURE = (
    "What `--min-confidence` does: letters (without those that are written as digits are) and "
    "scribbles, half of them photographed, that are still read as a digit; and what of the digits "
    "above is still read."
)


def _sure(result: Result) -> str:
    digits, letters, scribbles = (result.sure[kind] for kind in ("digits", "letters", "scribbles"))
    rows = [
        [
            f"{least:g}",
            percent(100 * digits.read[place] / digits.total),
            percent(100 * digits.right[place] / digits.read[place]),
            percent(100 * letters.read[place] / letters.total),
            percent(100 * scribbles.read[place] / scribbles.total),
        ]
        for place, least in enumerate(result.confidences)
    ]
    headings = ["least confidence", "digits read, %", "of these right, %"]
    named = [f"{kind} of {result.sure[kind].total} read, %" for kind in ("letters", "scribbles")]
    return table(headings + named, rows)


def _refusals(found: dict[str, Refusals]) -> str:
    rows = [
        [REASONS[kind], kind, str(count.total), str(count.refused), str(count.as_named)]
        for kind, count in found.items()
    ]
    headings = ["what is no single digit", "error", "pictures", "refused", "with that error"]
    return table(headings, rows, texts=(0, 1))


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line asks; return the exit status."""

    def changed(page: str, results: Path) -> str:
        return with_tables(page, read_result(results / "pictures-development.json"))

    return write_or_check("pictures", changed, __doc__ or "", arguments)


if __name__ == "__main__":
    sys.exit(main())
