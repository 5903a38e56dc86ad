"""Results in ``results/LABEL.json``, and whether they confirm what a project page claims."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from doc_tables.tables import percent, read_model
from kilonet.errors import DataError
from kilonet.evaluation.statistics import t_interval
from kilonet.recipe.load import resolve
from kilonet.recipe.schema import Recipe

EXPERIMENT = Path(__file__).resolve().parents[1] / "reproduction.toml"
_NUMBER = r"\d[\d,]*(?:\.\d+)?"
_FIGURE = re.compile(rf"([~<>≤≥]?)({_NUMBER})(?:–({_NUMBER}))?(K?)")
_WORDS = {"~": "about ", "<": "under ", ">": "over ", "≤": "at most ", "≥": "at least ", "": ""}


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

    @property
    def epochs(self) -> list[int]:
        """The epochs of each run."""
        return [run.epochs for run in self.runs]

    @property
    def seconds(self) -> float:
        """The mean time of a run."""
        return statistics.fmean(run.seconds for run in self.runs)

    def recorded(self, column: str, epoch: int) -> Sample | None:
        """Return a recorded accuracy after ``epoch`` epochs, over the seeds that got there."""
        return sample_of(run.recorded(column).get(epoch) for run in self.runs)


@dataclass(frozen=True)
class Sample:
    """One value in percent for each seed; at least one."""

    values: list[Fraction]

    def __str__(self) -> str:
        if self.deviation is None:
            return percent(self.mean)
        return f"{percent(self.mean, 3)} ± {percent(self.deviation, 3)}"

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


@dataclass(frozen=True)
class Figure:
    """A number or a range with its relation sign; ``step`` is the unit of its last digit."""

    relation: str
    low: Fraction
    high: Fraction
    step: Fraction
    number: str

    def __str__(self) -> str:
        return _WORDS[self.relation] + self.number

    @property
    def minimum(self) -> Fraction:
        """The lowest value that confirms it: a bound itself, else what rounds to the figure."""
        return self.low if self.relation in (">", "≥") else self.low - self.step / 2

    def allows_accuracy(self, value: Fraction) -> bool:
        """Return whether ``value`` is as high as the figure (for accuracies)."""
        return value > self.minimum if self.relation == ">" else value >= self.minimum

    def allows_count(self, value: int) -> bool:
        """Return whether ``value`` is as low as the figure (for parameters and epochs)."""
        if self.relation == "<":
            return value < self.high
        return value <= self.high if self.relation == "≤" else value < self.high + self.step / 2


def parse_figure(text: str) -> Figure:
    """Return the figure that ``text`` states, such as ``≥99.4``, ``~94–95``, ``18,060``, ``~25K``.

    Raises ValueError if it states none.
    """
    match = _FIGURE.fullmatch(text)
    if match is None:
        raise ValueError(f'"{text}" is not a figure such as "≥99.4", "~94–95" or "18,060"')
    relation, low, high, unit = match.groups()
    factor = 1000 if unit else 1
    return Figure(
        relation=relation,
        low=_value(low) * factor,
        high=_value(high or low) * factor,
        step=Fraction(factor, 10 ** len(low.partition(".")[2])),
        number=text.removeprefix(relation),
    )


def _value(digits: str) -> Fraction:
    return Fraction(digits.replace(",", ""))


FigureText = Annotated[Figure, BeforeValidator(parse_figure)]


class Claim(BaseModel):
    """What a project page says about its network. Accuracies are percentages."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    parameters: FigureText
    epochs: FigureText
    accuracy: FigureText
    train_accuracy: FigureText | None = None
    by_epoch: dict[int, FigureText] = {}


@dataclass(frozen=True)
class Verdict:
    """Whether a claim holds; ``failures`` says how far off each figure is."""

    failures: list[str]
    remarks: list[str]

    @property
    def holds(self) -> bool:
        """Whether no figure fails."""
        return not self.failures

    def __str__(self) -> str:
        text = "**holds**" if self.holds else f"**does not hold**: {'; '.join(self.failures)}"
        return text + (f" ({'; '.join(self.remarks)})" if self.remarks else "")


def judge(claim: Claim, result: Result) -> Verdict:
    """Compare the parameters, epochs and final accuracy of ``claim`` with ``result``."""
    epochs, sample = max(result.epochs), result.accuracy
    failures = []
    if not claim.parameters.allows_count(result.parameters):
        failures.append(_too_many("parameters", claim.parameters, result.parameters))
    if not claim.epochs.allows_count(epochs):
        failures.append(_too_many("epochs", claim.epochs, epochs))
    if not claim.accuracy.allows_accuracy(sample.mean):
        failures.append(_too_low(claim.accuracy, sample))
    remarks = [*_fewer(claim.parameters, result.parameters), *_uncertainty(claim.accuracy, sample)]
    return Verdict(failures, remarks)


def _too_many(noun: str, figure: Figure, value: int) -> str:
    excess = value - int(figure.high) + (figure.relation == "<")
    return f"{excess:,} {noun.removesuffix('s') if excess == 1 else noun} too many"


def _too_low(figure: Figure, sample: Sample) -> str:
    if sample.mean == figure.low:
        return f"accuracy not {figure}"
    return f"accuracy {float(figure.low - sample.mean):.3f} points short"


def _fewer(figure: Figure, parameters: int) -> list[str]:
    """Return a remark if the network has fewer parameters than an exact figure says."""
    if figure.relation or parameters >= figure.low:
        return []
    return [f"{int(figure.low) - parameters:,} parameters fewer"]


def _uncertainty(accuracy: Figure, sample: Sample) -> list[str]:
    """Return a remark if other seeds could have given the other verdict."""
    if sample.interval is None:
        return ["one seed"]
    low, high = sample.interval
    return ["the 95 % interval contains both outcomes"] if low < accuracy.minimum <= high else []


class Measured(BaseModel):
    """A recipe with overrides, measured in ``results/LABEL.json``, and what its page claims."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str
    recipe: str
    overrides: list[str] = []
    project: str = ""
    improves_on: str = ""
    way: Literal["described", "tuned", "free"] = "described"
    archived: bool = False
    claim: Claim | None = None

    @property
    def resolved(self) -> Recipe:
        """The recipe with its overrides."""
        return resolve(self.recipe, self.overrides).recipe


class Experiment(BaseModel):
    """The content of ``reproduction.toml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seeds: int
    readme: list[str]
    curves: list[str]
    run: list[Measured]


@cache
def read_experiment(path: Path = EXPERIMENT) -> Experiment:
    """Return the content of ``path``."""
    return read_model(path, Experiment)


def measured(label: str) -> Measured:
    """Return the entry with this label.

    Raises:
        DataError: there is none.
    """
    found = [entry for entry in read_experiment().run if entry.label == label]
    if not found:
        raise DataError(f'{EXPERIMENT} has no run with the label "{label}". Add it.')
    return found[0]


def result_of(results: Path, entry: Measured) -> Result:
    """Return what was measured of ``entry``.

    Raises:
        DataError: the file measures another recipe.
    """
    result = read_model(results / f"{entry.label}.json", Result)
    if (result.recipe, result.overrides) != (entry.recipe, entry.overrides):
        raise DataError(
            f"results/{entry.label}.json measures {result.recipe} {result.overrides}, but "
            f"{EXPERIMENT.name} has {entry.recipe} {entry.overrides}. Correct one of them."
        )
    return result
