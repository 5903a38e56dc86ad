"""The compliance checklist."""

from __future__ import annotations

from typing import Any

import pytest

from kilonet.recipe.schema import Constraints
from kilonet.runs.compliance import Check, Measured, check_constraints


def checks(
    constraints: dict[str, Any],
    parameters: int = 14_210,
    epochs: int = 15,
    accuracy: float = 0.9952,
    layers: tuple[str, ...] = ("batch-norm",),
) -> list[Check]:
    measured = Measured(parameters, epochs, accuracy, frozenset(layers))
    return check_constraints(Constraints.model_validate(constraints), measured)


def test_nothing_asked_nothing_checked() -> None:
    assert checks({}) == []


@pytest.mark.parametrize(
    ("constraints", "expected"),
    [
        ({"max_parameters": 14_210}, Check("at most 14,210 parameters", True, "14,210")),
        ({"max_parameters": 14_209}, Check("at most 14,209 parameters", False, "14,210")),
        ({"max_parameters": 1}, Check("at most 1 parameter", False, "14,210")),
        ({"max_epochs": 15}, Check("at most 15 epochs", True, "15")),
        ({"max_epochs": 14}, Check("at most 14 epochs", False, "15")),
        ({"min_accuracy": 0.9952}, Check("test accuracy at least 99.52%", True, "99.52%")),
        ({"min_accuracy": 0.9953}, Check("test accuracy at least 99.53%", False, "99.52%")),
        ({"required_layers": ["batch-norm"]}, Check("batch norm used", True, "present")),
        ({"required_layers": ["dropout"]}, Check("dropout used", False, "absent")),
        (
            {"required_layers": ["global-average-pooling"]},
            Check("global average pooling used", False, "absent"),
        ),
    ],
)
def test_each_kind(constraints: dict[str, Any], expected: Check) -> None:
    assert checks(constraints) == [expected]


def test_a_hair_short_of_the_accuracy_is_shown() -> None:
    (line,) = checks({"min_accuracy": 0.994}, accuracy=0.99396)
    assert line == Check("test accuracy at least 99.4000%", False, "99.3960%")


def test_all_in_order() -> None:
    asked = {
        "required_layers": ["dropout", "batch-norm"],
        "min_accuracy": 0.5,
        "max_epochs": 20,
        "max_parameters": 20_000,
    }
    assert [line.passed for line in checks(asked)] == [True, True, True, False, True]
