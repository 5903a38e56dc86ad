"""What is said of pictures."""

from __future__ import annotations

import pytest

from kilonet.serve.answers import FAILURE, READING, answer, problem
from kilonet.serve.wire import Refusal

CLASSES = ("a", "b", "c")


def test_a_reading_with_all_probabilities() -> None:
    found = answer((0.2, 0.7123456789, 0.1), CLASSES, 0.5)
    assert found == {
        "digit": "b",
        "confidence": 0.712346,
        "runner_up": "a",
        "runner_up_confidence": 0.2,
        "unsure": False,
        "probabilities": {"a": 0.2, "b": 0.712346, "c": 0.1},
    }
    assert set(found) == set(READING["properties"])
    assert answer((0.2, 0.7, 0.1), CLASSES, 0.71)["unsure"]


def test_a_failure_in_a_batch() -> None:
    found = answer(Refusal("blank", "It is blank."), CLASSES, 0)
    assert found == {"error": "blank", "message": "It is blank."}
    assert set(found) == set(FAILURE["properties"])


@pytest.mark.parametrize(("kind", "status"), [("blank", 422), ("too-large", 413)])
def test_a_failure_alone(kind: str, status: int) -> None:
    found = problem(Refusal(kind, "No."))
    assert (found.status, found.reason, str(found)) == (status, kind, "No.")


def test_no_option_of_the_command_line_is_named() -> None:
    said = "The picture shows 2 digits, and one was expected; --split reads them left to right."
    assert str(problem(Refusal("several", said))) == (
        "The picture shows 2 digits, and one was expected. Send a picture of each digit."
    )
