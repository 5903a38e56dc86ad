"""Write the tables of docs/robustness.md from results/robustness-*.json.

    kilonet evaluate RUN --robustness --images 10000 --json >results/robustness-NAME-SEED.json
    python scripts/robustness/page.py            # after such files changed
    python scripts/robustness/page.py --check    # exit 1 if the page would change

Files of one recipe, a seed each, become one row.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, stdev

from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kilonet.errors import UsageError
from kilonet.evaluation.distortions import DISTORTIONS
from rendering import write_or_check
from reproduction.words import percent, plural, table

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
NOTHING = "No measurement of a recipe is stored yet."


class Cell(BaseModel):
    """How many were right at one strength of one kind."""

    kind: str | None
    strength: float
    alone: int
    read: int
    refused: int


class Share(BaseModel):
    """A mean over the grid."""

    mean: float
    half_width: float


class Measured(BaseModel):
    """The content of a ``robustness.json``."""

    model_config = ConfigDict(extra="forbid")

    model: str
    recipe: str
    fingerprint: str
    training_seed: int
    parameters: PositiveInt
    dataset: str
    part: str
    available: PositiveInt
    images: PositiveInt
    undistorted: Cell
    cells: list[Cell]
    alone: Share
    read: Share
    distortion_seed: int
    environment: dict[str, str]

    def of(self, kind: str, way: str) -> float:
        """Return the mean over the strengths of one kind, by the network "alone" or "read"."""
        return fmean(getattr(cell, way) / self.images for cell in self.cells if cell.kind == kind)


Seeds = list[Measured]


def read_results(folder: Path) -> list[Seeds]:
    """Return what is in ``folder``, by recipe, the network of fewest parameters first.

    Raises:
        UsageError: a file is not what the command writes, or lacks test images.
    """
    recipes: dict[str, Seeds] = {}
    for path in sorted(folder.glob("robustness-*.json")):
        measured = _read(path)
        recipes.setdefault(measured.fingerprint, []).append(measured)
    return sorted(recipes.values(), key=lambda seeds: (seeds[0].parameters, seeds[0].recipe))


def _read(path: Path) -> Measured:
    remedy = "Measure again: kilonet evaluate RUN --robustness --images 10000"
    try:
        measured = Measured.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(f"{path}: {place}: {first['msg']}. {remedy}") from None
    grid = [(kind.name, strength) for kind in DISTORTIONS for strength in kind.strengths]
    if [(cell.kind, cell.strength) for cell in measured.cells] != grid:
        raise UsageError(f"{path} is of another grid of distortions. {remedy}")
    if (measured.part, measured.images) != ("test", measured.available):
        what = f"{measured.images} of {measured.available} {measured.part} images"
        raise UsageError(f"{path} is of {what}, not of the whole test split. {remedy}")
    return measured


def with_tables(page: str, results: Sequence[Seeds]) -> str:
    """Return ``page`` with what is between its two marks written anew.

    Raises:
        UsageError: a mark is missing, or there twice.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(END) < page.index(BEGIN):
        raise UsageError(f"docs/robustness.md must have {BEGIN} and then {END}, once each.")
    before, _, rest = page.partition(BEGIN)
    text = tables(results) if results else NOTHING
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}"


def tables(results: Sequence[Seeds]) -> str:
    """Return the means over the grid, those of each kind, and where they come from."""
    headings = ["recipe", "parameters", "undistorted", "network alone", "read as a picture", ""]
    rows = [
        [
            f"`{seeds[0].recipe}`",
            f"{seeds[0].parameters:,}",
            _over(seeds, lambda one: one.undistorted.alone / one.images),
            _over(seeds, lambda one: one.alone.mean),
            _over(seeds, lambda one: one.read.mean),
            plural(len(seeds), "seed"),
        ]
        for seeds in results
    ]
    kinds = ["recipe", *(kind.name for kind in DISTORTIONS)]
    return "\n\n".join(
        [
            "Percent of the test images, the mean and, over several seeds, the standard deviation:",
            table(headings, rows, texts=(0,)),
            "By kind, the mean over its strengths, network alone / read as a picture:",
            table(kinds, [_by_kind(seeds) for seeds in results], texts=(0,)),
            _source(results),
        ]
    )


def _over(seeds: Seeds, figure: Callable[[Measured], float]) -> str:
    values = [100 * figure(one) for one in seeds]
    spread = f" ± {percent(stdev(values))}" if len(values) > 1 else ""
    return percent(fmean(values)) + spread


def _by_kind(seeds: Seeds) -> list[str]:
    def both(kind: str) -> str:
        means = (100 * fmean(one.of(kind, way) for one in seeds) for way in ("alone", "read"))
        return " / ".join(percent(mean, 1) for mean in means)

    return [f"`{seeds[0].recipe}`", *(both(kind.name) for kind in DISTORTIONS)]


def _source(results: Sequence[Seeds]) -> str:
    where = results[0][0].environment
    names = ", ".join(
        f"`{seeds[0].recipe}` `{seeds[0].fingerprint}` (seeds "
        f"{', '.join(str(one.training_seed) for one in seeds)})"
        for seeds in results
    )
    return (
        f"Recipe fingerprints: {names}. Measured at commit `{where['commit'] or 'unknown'}` with "
        f"PyTorch {where['torch']}, NumPy {where['numpy']} and SciPy {where['scipy']} on "
        f"{where['processor']}."
    )


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line asks; return the exit status."""

    def changed(page: str, results: Path) -> str:
        return with_tables(page, read_results(results))

    return write_or_check("robustness", changed, __doc__ or "", arguments)


if __name__ == "__main__":
    sys.exit(main())
