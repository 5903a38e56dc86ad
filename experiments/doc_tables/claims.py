"""A figure that a project page claims, and whether a measurement confirms it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from doc_tables.runs import Result, Sample

_NUMBER = r"\d[\d,]*(?:\.\d+)?"
_FIGURE = re.compile(rf"([~<>≤≥]?)({_NUMBER})(?:–({_NUMBER}))?(K?)")
_WORDS = {"~": "about ", "<": "under ", ">": "over ", "≤": "at most ", "≥": "at least ", "": ""}


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
        """The lowest value that counts: a bound exactly, else what rounds to the figure."""
        return self.low if self.relation in (">", "≥") else self.low - self.step / 2

    def reached_by(self, value: Fraction) -> bool:
        """Return whether ``value`` is as high as the figure (for accuracies)."""
        return value > self.minimum if self.relation == ">" else value >= self.minimum

    def kept_by(self, value: int) -> bool:
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


Stated = Annotated[Figure, BeforeValidator(parse_figure)]


class Claim(BaseModel):
    """What a project page says about its network. Accuracies are percentages."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    parameters: Stated
    epochs: Stated
    accuracy: Stated
    train_accuracy: Stated | None = None
    by_epoch: dict[int, Stated] = {}


@dataclass(frozen=True)
class Verdict:
    """Whether a claim holds; ``failures`` says how far off each figure is."""

    holds: bool
    failures: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        text = "**holds**" if self.holds else f"**does not hold**: {'; '.join(self.failures)}"
        return text + (f" ({'; '.join(self.remarks)})" if self.remarks else "")


def judge(claim: Claim, result: Result) -> Verdict:
    """Compare the parameters, epochs and final accuracy of ``claim`` with ``result``."""
    epochs, sample = max(run.epochs for run in result.runs), result.accuracy
    failures = []
    if not claim.parameters.kept_by(result.parameters):
        failures.append(_too_many("parameters", claim.parameters, result.parameters))
    if not claim.epochs.kept_by(epochs):
        failures.append(_too_many("epochs", claim.epochs, epochs))
    if not claim.accuracy.reached_by(sample.mean):
        failures.append(_too_low(claim.accuracy, sample))
    remarks = [*_fewer(claim.parameters, result.parameters), *_doubts(claim.accuracy, sample)]
    return Verdict(not failures, failures, remarks)


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


def _doubts(accuracy: Figure, sample: Sample) -> list[str]:
    """Return a remark if other seeds could have given the other verdict."""
    if sample.interval is None:
        return ["one seed"]
    low, high = sample.interval
    return ["the 95 % interval contains both outcomes"] if low < accuracy.minimum <= high else []
