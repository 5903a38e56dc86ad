"""The compliance checklist: what a run had to satisfy, line by line."""

from __future__ import annotations

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
    """What a run is held against its constraints with. ``accuracy`` None: not measured yet."""

    parameters: int
    epochs: int
    accuracy: float | None
    layers: frozenset[str]


def check_constraints(constraints: Constraints, measured: Measured) -> list[Check]:
    """Return a line for each constraint that is set; an empty list where none is."""
    checks: list[Check] = []
    if (most := constraints.max_parameters) is not None:
        found = measured.parameters
        checks.append(Check(f"at most {most:,} parameters", found <= most, f"{found:,}"))
    if (most := constraints.max_epochs) is not None:
        found = measured.epochs
        checks.append(Check(f"at most {most} epochs", found <= most, str(found)))
    if (least := constraints.min_accuracy) is not None:
        checks.append(_accuracy(least, measured.accuracy))
    for layer in constraints.required_layers:
        present = layer in measured.layers
        label = f"{layer.replace('-', ' ')} used"
        checks.append(Check(label, present, "present" if present else "absent"))
    return checks


def _accuracy(least: float, accuracy: float | None) -> Check:
    label = f"test accuracy at least {least:.2%}"
    if accuracy is None:
        return Check(label, False, "not measured: the run has not finished")
    return Check(label, accuracy >= least, f"{accuracy:.2%}")
