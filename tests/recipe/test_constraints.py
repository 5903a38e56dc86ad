"""Constraints from flags."""

from __future__ import annotations

from typing import Any

import pytest

from kilonet.errors import UsageError
from kilonet.recipe.constraints import parse_constraints


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
