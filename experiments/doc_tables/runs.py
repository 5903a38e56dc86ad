"""``results/LABEL.json``: the runs of one recipe, a seed each, and statistics over the seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from doc_tables.markdown import NONE, percent
from kilonet.errors import DataError
from kilonet.evaluation.statistics import t_interval


class Run(BaseModel):
    """One training run with one seed."""

    seed: int
    test_correct: int
    test_total: int
    best_epoch: int
    epochs: int
    seconds: float
    history: list[dict[str, float]]
    environment: dict[str, str]

    @property
    def accuracy(self) -> Fraction:
        """The exact test accuracy in percent."""
        return Fraction(100 * self.test_correct, self.test_total)

    def recorded(self, column: str) -> dict[int, Fraction]:
        """Return an accuracy of the history in percent, by epoch; empty if it was not recorded."""
        rows = (row for row in self.history if column in row)
        return {int(row["epoch"]): 100 * Fraction(str(row[column])) for row in rows}

    @property
    def highest_test(self) -> Fraction | None:
        """The highest test accuracy of any epoch: selected on the test set, so optimistic."""
        return max(self.recorded("test_accuracy").values(), default=None)


class Result(BaseModel):
    """The runs of one recipe, sorted by seed."""

    recipe: str
    overrides: list[str]
    fingerprint: str
    parameters: int
    runs: Annotated[list[Run], Field(min_length=1)]

    @property
    def accuracy(self) -> Sample:
        """The test accuracy over the seeds."""
        return Sample([run.accuracy for run in self.runs])

    @property
    def train_accuracy(self) -> Sample | None:
        """The training accuracy of each run's last epoch."""
        return sample_of(run.recorded("train_accuracy").get(run.epochs) for run in self.runs)

    def recorded(self, column: str, epoch: int) -> Sample | None:
        """Return a recorded accuracy after ``epoch`` epochs, over the seeds that got there."""
        return sample_of(run.recorded(column).get(epoch) for run in self.runs)


@dataclass(frozen=True)
class Sample:
    """One value in percent for each seed; at least one."""

    values: list[Fraction]

    @property
    def mean(self) -> Fraction:
        """The exact mean, so that comparing it with a bound needs no rounding."""
        return sum(self.values, Fraction()) / len(self.values)

    @property
    def deviation(self) -> float | None:
        """The sample standard deviation (n − 1); None for a single value."""
        return statistics.stdev(map(float, self.values)) if len(self.values) > 1 else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Student's 95 % interval of the mean, cut at 100; None for a single value."""
        mean, half = t_interval([float(value) for value in self.values])
        return (mean - half, min(mean + half, 100.0)) if math.isfinite(half) else None


def sample_of(values: Iterable[Fraction | None]) -> Sample | None:
    """Return the values that are not None as a sample, or None if there are none."""
    found = [value for value in values if value is not None]
    return Sample(found) if found else None


def spread(sample: Sample | None) -> str:
    """Format a mean and its sample standard deviation, with three decimals."""
    if sample is None:
        return NONE
    if sample.deviation is None:
        return percent(sample.mean)
    return f"{percent(sample.mean, 3)} ± {percent(sample.deviation, 3)}"


def read_result(results: Path, label: str) -> Result:
    """Return the content of ``results/LABEL.json``.

    Raises:
        DataError: there is no such file, or its content is invalid.
    """
    path = results / f"{label}.json"
    try:
        return Result.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise DataError(f"{path}: {error}. Run python experiments/run.py again.") from None
