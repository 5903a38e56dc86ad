"""Whether a claim holds follows from the mean over the seeds and from how the figure is written."""

from __future__ import annotations

import importlib
from fractions import Fraction
from typing import Any

import pytest
from pydantic import ValidationError

results = importlib.import_module("doc_tables.results")


def result(*correct: int, parameters: int = 6762, epochs: int = 12) -> Any:
    each = [
        results.Run(
            seed=seed, test_correct=number, test_total=10000, best_epoch=1, epochs=epochs,
            seconds=1, history=[], environment={},
        )
        for seed, number in enumerate(correct)
    ]  # fmt: skip
    values = {"recipe": "a", "overrides": [], "fingerprint": "", "parameters": parameters}
    return results.Result(**values, runs=each)


def claim(**changes: str) -> Any:
    return results.Claim(**{"parameters": "<8,000", "epochs": "~15", "accuracy": ">99.4"} | changes)


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        (result(9941, 9941), "**holds**"),
        (result(9940, 9940), "**does not hold**: accuracy not over 99.4"),
        (result(9930, 9931), "**does not hold**: accuracy 0.095 points short"),
        (result(9941), "**holds** (one seed)"),
        (result(9930, 9955), "**holds** (the 95 % interval contains both outcomes)"),
        (
            result(9950, 9950, parameters=8000, epochs=17),
            "**does not hold**: 1 parameter too many; 2 epochs too many",
        ),
    ],
)
def test_the_verdict(measured: Any, verdict: str) -> None:
    assert str(results.judge(claim(), measured)) == verdict


def test_fewer_parameters_than_an_exact_figure_are_mentioned() -> None:
    found = results.judge(claim(parameters="6,800"), result(9950, 9950))
    assert str(found) == "**holds** (38 parameters fewer)"


@pytest.mark.parametrize(
    ("text", "words", "reached", "missed"),
    [
        ("≥99.4", "at least 99.4", "99.4", "99.3999"),
        (">99.4", "over 99.4", "99.4001", "99.4"),
        ("99.6", "99.6", "99.55", "99.5499"),
        ("98.16", "98.16", "98.155", "98.1549"),
        ("~98", "about 98", "97.5", "97.4999"),
        ("~94–95", "about 94–95", "93.5", "93.4999"),
    ],
)
def test_what_reaches_a_figure(text: str, words: str, reached: str, missed: str) -> None:
    figure = results.parse_figure(text)
    assert str(figure) == words
    assert figure.allows_accuracy(Fraction(reached))
    assert not figure.allows_accuracy(Fraction(missed))


@pytest.mark.parametrize(
    ("text", "most"),
    [("18,060", 18060), ("<8,000", 7999), ("~25K", 25499), ("1–2", 2), ("≤10", 10), ("~15", 15)],
)
def test_what_keeps_to_a_figure(text: str, most: int) -> None:
    figure = results.parse_figure(text)
    assert figure.allows_count(most)
    assert not figure.allows_count(most + 1)


@pytest.mark.parametrize("text", ["", "about 5", "5 %", "1-2", "~", "99.4.1"])
def test_what_is_not_a_figure(text: str) -> None:
    with pytest.raises(ValueError, match="is not a figure"):
        results.parse_figure(text)
    with pytest.raises(ValidationError, match="is not a figure"):
        claim(accuracy=text)


def test_a_sample_has_mean_deviation_and_interval() -> None:
    accuracy = result(9946, 9938, 9951).accuracy
    assert str(accuracy) == "99.450 ± 0.066"
    assert str(result(9946).accuracy) == "99.46"
    low, high = accuracy.interval
    assert (low, high) == pytest.approx((99.2871, 99.6129), abs=1e-3)
