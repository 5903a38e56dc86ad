"""McNemar's exact test, against the binomial distribution written out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kilonet.evaluation.compare import McNemar, mcnemar


def split(both: int, only_a: int, only_b: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    a = [True] * both + [True] * only_a + [False] * only_b + [False] * neither
    b = [True] * both + [False] * only_a + [True] * only_b + [False] * neither
    order = np.random.default_rng(0).permutation(len(a))
    return np.array(a)[order], np.array(b)[order]


def two_sided(k: int, n: int) -> float:
    tail = sum(math.comb(n, i) for i in range(min(k, n - k) + 1)) / 2**n
    return min(1.0, 2 * tail)


@pytest.mark.parametrize(("only_a", "only_b"), [(3, 9), (9, 3), (0, 6), (5, 5), (1, 0), (40, 21)])
def test_p_value_is_the_binomial_tail(only_a: int, only_b: int) -> None:
    result = mcnemar(*split(50, only_a, only_b, 7))
    assert (result.only_a, result.only_b) == (only_a, only_b)
    assert result.discordant == only_a + only_b
    assert result.p_value == pytest.approx(two_sided(only_a, only_a + only_b))


def test_images_on_which_both_agree_change_nothing() -> None:
    assert mcnemar(*split(0, 3, 9, 0)) == mcnemar(*split(9_000, 3, 9, 100))


def test_models_that_never_disagree_are_not_told_apart() -> None:
    assert mcnemar([True, False], [True, False]) == McNemar(0, 0, 1.0)


def test_different_images_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="same images"):
        mcnemar([True, False], [True])
    with pytest.raises(ValueError, match="same images"):
        mcnemar([[True]], [[True]])
