"""``results/*.json``: the runs that ``scripts/reproduce.py`` stored, and means over seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from kilonet.errors import DataError
from kilonet.evaluation.statistics import t_interval
from reproduction.claims import Claims, Dataset, Measured


class Run(BaseModel):
    """One training run: one seed."""

    seed: int
    test_correct: int
    test_total: int
    best_epoch: int
    epochs: int
    stopped_because: str
    seconds: float
    history: list[dict[str, float]]
    environment: dict[str, str]

    @property
    def accuracy(self) -> Fraction:
        """The test accuracy in percent, exactly."""
        return Fraction(100 * self.test_correct, self.test_total)

    def recorded(self, column: str) -> dict[int, Fraction]:
        """Return an accuracy of the history, in percent, by epoch; empty if it was not recorded."""
        rows = (row for row in self.history if column in row)
        return {int(row["epoch"]): 100 * Fraction(str(row[column])) for row in rows}

    @property
    def highest_test(self) -> Fraction | None:
        """The highest test accuracy of any epoch: picked by looking at the test set."""
        return max(self.recorded("test_accuracy").values(), default=None)


class Data(BaseModel):
    """What a recipe was trained on, and the share of it that was held back."""

    name: str
    validation: float


class Result(BaseModel):
    """The runs of one recipe, by seed."""

    recipe: str
    overrides: list[str]
    fingerprint: str
    parameters: int
    data: Data
    runs: Annotated[list[Run], Field(min_length=1)]

    @property
    def accuracy(self) -> Sample:
        """The test accuracy over the seeds."""
        return Sample([run.accuracy for run in self.runs])

    def recorded(self, column: str, epoch: int) -> Sample | None:
        """Return a recorded accuracy after ``epoch`` epochs, over the seeds that got there."""
        found = [run.recorded(column).get(epoch) for run in self.runs]
        return sample_of(found)


@dataclass(frozen=True)
class Sample:
    """One value a seed, in percent; at least one."""

    values: list[Fraction]

    @property
    def mean(self) -> Fraction:
        """The mean, exactly, so that a bound is compared with what was counted."""
        return sum(self.values, Fraction()) / len(self.values)

    @property
    def deviation(self) -> float | None:
        """The sample standard deviation (n - 1); None for a single value."""
        return statistics.stdev(map(float, self.values)) if len(self.values) > 1 else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Student's 95 % interval of the mean, cut at 100; None for a single value."""
        mean, half = t_interval([float(value) for value in self.values])
        return (mean - half, min(mean + half, 100.0)) if math.isfinite(half) else None


def sample_of(values: Iterable[Fraction | None]) -> Sample | None:
    """Return the values that there are as a sample, or None if there are none."""
    found = [value for value in values if value is not None]
    return Sample(found) if found else None


def read_results(folder: Path, claims: Claims) -> dict[str, Result]:
    """Return by label what ``folder`` holds of the measurements that ``claims`` asks for.

    Raises:
        DataError: a file is not what ``scripts/reproduce.py`` writes, or measures something else.
    """
    paths = {wanted.label: folder / f"{wanted.label}.json" for wanted in claims.measured}
    return {
        wanted.label: _read(paths[wanted.label], wanted, claims.dataset)
        for wanted in claims.measured
        if paths[wanted.label].exists()
    }


def read_result(path: Path) -> Result:
    """Return the runs that ``path`` holds.

    Raises:
        DataError: it is not what ``scripts/reproduce.py`` writes.
    """
    try:
        return Result.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise DataError(f"{path}: {error}. Let scripts/reproduce.py write it again.") from None


def _read(path: Path, wanted: Measured, dataset: Dataset) -> Result:
    result = read_result(path)
    totals = {run.test_total for run in result.runs}
    expected = (wanted.recipe, wanted.overrides, dataset.name, {dataset.test})
    if (found := (result.recipe, result.overrides, result.data.name, totals)) != expected:
        raise DataError(
            f"{path}: measures {found} (recipe, overrides, data set, test images), but "
            f"scripts/claims.toml asks for {expected}. Correct the one or run the other."
        )
    return result
