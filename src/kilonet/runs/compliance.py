"""The compliance checklist: what a run had to satisfy, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kilonet.recipe.schema import Constraints


@dataclass(frozen=True)
class Check:
    """One line of the checklist: what was asked, whether it holds, and what was found."""

    label: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Measured:
    """What a run is held against its constraints with."""

    parameters: int
    epochs: int
    accuracy: float
    """On the test split, a fraction."""
    layers: frozenset[str]


def check_constraints(constraints: Constraints, measured: Measured) -> list[Check]:
    """Return a line for each constraint that is set; an empty list where none is."""
    return [*_budgets(constraints, measured), *_accuracy(constraints, measured.accuracy)] + [
        _layer(kind, kind in measured.layers) for kind in constraints.required_layers
    ]


def _budgets(constraints: Constraints, measured: Measured) -> Iterator[Check]:
    budgets = (
        ("parameters", constraints.max_parameters, measured.parameters),
        ("epochs", constraints.max_epochs, measured.epochs),
    )
    for what, most, found in budgets:
        if most is not None:
            unit = what.removesuffix("s") if most == 1 else what
            yield Check(f"at most {most:,} {unit}", found <= most, f"{found:,}")


def _accuracy(constraints: Constraints, found: float) -> Iterator[Check]:
    least = constraints.min_accuracy
    if least is not None:
        passed = found >= least
        # A run that falls short by a hair must not read that 99.40 % is less than 99.40 %.
        decimals = 2 if passed == (round(found, 4) >= round(least, 4)) else 4
        label = f"test accuracy at least {least:.{decimals}%}"
        yield Check(label, passed, f"{found:.{decimals}%}")


def _layer(kind: str, present: bool) -> Check:
    return Check(f"{kind.replace('-', ' ')} used", present, "present" if present else "absent")
