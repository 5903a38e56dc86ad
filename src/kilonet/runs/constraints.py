"""Check a run against constraints: from its recipe, or from the command line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from kilonet.errors import UsageError
from kilonet.recipe.schema import Constraints
from kilonet.recipe.validation_messages import expected_value

_FLAGS = {"required_layers": "require-layer"}


@dataclass(frozen=True)
class ConstraintCheck:
    """One constraint: what it requires, whether it holds, and the measured value."""

    label: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class MeasuredRun:
    """The values of a run that constraints apply to."""

    parameters: int
    epochs: int
    accuracy: float
    """On the test split, a fraction."""
    layers: frozenset[str]


def check_constraints(constraints: Constraints, measured: MeasuredRun) -> list[ConstraintCheck]:
    """Return one check for each constraint that is set."""
    return [*_budgets(constraints, measured), *_accuracy(constraints, measured.accuracy)] + [
        _layer(kind, kind in measured.layers) for kind in constraints.required_layers
    ]


def _budgets(constraints: Constraints, measured: MeasuredRun) -> Iterator[ConstraintCheck]:
    budgets = (
        ("parameters", constraints.max_parameters, measured.parameters),
        ("epochs", constraints.max_epochs, measured.epochs),
    )
    for name, limit, value in budgets:
        if limit is not None:
            unit = name.removesuffix("s") if limit == 1 else name
            yield ConstraintCheck(f"at most {limit:,} {unit}", value <= limit, f"{value:,}")


def _accuracy(constraints: Constraints, accuracy: float) -> Iterator[ConstraintCheck]:
    minimum = constraints.min_accuracy
    if minimum is not None:
        passed = accuracy >= minimum
        # More decimals if rounding would show a failed check as 99.40 % against 99.40 %.
        decimals = 2 if passed == (round(accuracy, 4) >= round(minimum, 4)) else 4
        label = f"test accuracy at least {minimum:.{decimals}%}"
        yield ConstraintCheck(label, passed, f"{accuracy:.{decimals}%}")


def _layer(kind: str, present: bool) -> ConstraintCheck:
    return ConstraintCheck(
        f"{kind.replace('-', ' ')} used", present, "present" if present else "absent"
    )


def parse_constraints(given: dict[str, Any]) -> Constraints:
    """Return the constraints in ``given``, the values of command-line flags; None: not given."""
    values = {key: value for key, value in given.items() if value is not None}
    try:
        return Constraints.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        flag = _FLAGS.get(key, key.replace("_", "-"))
        meaning = Constraints.model_fields[key].description
        raise UsageError(
            f"--{flag} {expected_value(first)}, not {first['input']}. {meaning}"
        ) from None
