"""Checks of a run against constraints, and constraints from flags."""

from __future__ import annotations

from typing import Any

import pytest

from kilonet.errors import UsageError
from kilonet.recipe.schema import Constraints
from kilonet.runs.constraints import (
    ConstraintCheck,
    MeasuredRun,
    check_constraints,
    parse_constraints,
)


def checks(
    constraints: dict[str, Any],
    parameters: int = 14_210,
    epochs: int = 15,
    accuracy: float = 0.9952,
    layers: tuple[str, ...] = ("batch-norm",),
) -> list[ConstraintCheck]:
    measured = MeasuredRun(parameters, epochs, accuracy, frozenset(layers))
    return check_constraints(Constraints.model_validate(constraints), measured)


def test_no_constraints_no_checks() -> None:
    assert checks({}) == []


@pytest.mark.parametrize(
    ("constraints", "expected"),
    [
        ({"max_parameters": 14_210}, ConstraintCheck("at most 14,210 parameters", True, "14,210")),
        ({"max_parameters": 14_209}, ConstraintCheck("at most 14,209 parameters", False, "14,210")),
        ({"max_parameters": 1}, ConstraintCheck("at most 1 parameter", False, "14,210")),
        ({"max_epochs": 15}, ConstraintCheck("at most 15 epochs", True, "15")),
        ({"max_epochs": 14}, ConstraintCheck("at most 14 epochs", False, "15")),
        (
            {"min_accuracy": 0.9952},
            ConstraintCheck("test accuracy at least 99.52%", True, "99.52%"),
        ),
        (
            {"min_accuracy": 0.9953},
            ConstraintCheck("test accuracy at least 99.53%", False, "99.52%"),
        ),
        ({"required_layers": ["batch-norm"]}, ConstraintCheck("batch norm used", True, "present")),
        ({"required_layers": ["dropout"]}, ConstraintCheck("dropout used", False, "absent")),
        (
            {"required_layers": ["global-average-pooling"]},
            ConstraintCheck("global average pooling used", False, "absent"),
        ),
    ],
)
def test_each_constraint(constraints: dict[str, Any], expected: ConstraintCheck) -> None:
    assert checks(constraints) == [expected]


def test_a_narrow_failure_is_visible() -> None:
    (line,) = checks({"min_accuracy": 0.994}, accuracy=0.99396)
    assert line == ConstraintCheck("test accuracy at least 99.4000%", False, "99.3960%")


def test_the_order_of_checks() -> None:
    asked = {
        "required_layers": ["dropout", "batch-norm"],
        "min_accuracy": 0.5,
        "max_epochs": 20,
        "max_parameters": 20_000,
    }
    assert [line.passed for line in checks(asked)] == [True, True, True, False, True]


def test_none_means_not_given() -> None:
    given = parse_constraints({"max_parameters": 20_000, "min_accuracy": None})
    assert given.model_dump(exclude_unset=True) == {"max_parameters": 20_000}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"max_parameters": 0}, "--max-parameters must be at least 1, not 0."),
        ({"max_epochs": -1}, "--max-epochs must be at least 1, not -1."),
        ({"min_accuracy": 99.4}, "--min-accuracy must be at most 1, not 99.4."),
        ({"min_accuracy": 99.4}, "a fraction"),
        ({"min_accuracy": float("nan")}, "--min-accuracy must be a finite number, not nan."),
        ({"required_layers": ["relu"]}, "--require-layer must be 'batch-norm', 'dropout' or"),
    ],
)
def test_wrong_values_name_their_flag(given: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_constraints(given)
    assert text in str(caught.value)
