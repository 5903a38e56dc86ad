"""Statistics of synthetic runs, compared with SciPy and with results by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats
from synthetic import plan_of, results

from kilonet.studies.analysis import Analysis, analyse
from kilonet.studies.formatting import answers


def two(base: Sequence[float], other: Sequence[float], **options: float) -> Analysis:
    return analyse(plan_of("a", "b"), [results(base), results(other)], {}, **options)


def test_a_cell() -> None:
    (cell, _) = two([0.9, 0.92, 0.94], [0.9, 0.9, 0.9]).cells
    assert cell.mean == pytest.approx(0.92)
    assert cell.deviation == pytest.approx(0.02)
    low, high = stats.t.interval(0.95, 2, 0.92, 0.02 / np.sqrt(3))
    assert (0.92 - cell.half_width, 0.92 + cell.half_width) == pytest.approx((low, high))


def test_pairs_are_those_of_the_same_seed() -> None:
    base, other = [0.90, 0.92, 0.94, 0.93], [0.91, 0.94, 0.95, 0.96]
    (compared,) = two(base, other).comparisons
    theirs = stats.ttest_rel(other, base)
    assert compared.accuracy.p_value == pytest.approx(theirs.pvalue)
    interval = theirs.confidence_interval(0.95)
    assert (compared.accuracy.low, compared.accuracy.high) == pytest.approx(
        (interval.low, interval.high)
    )
    assert compared.accuracy_p_adjusted == compared.accuracy.p_value


def test_only_seeds_that_both_have_are_compared() -> None:
    runs = [results([0.9, 0.92, 0.94]), results([0.5, 0.91, 0.96])[1:]]
    (compared,) = analyse(plan_of("a", "b"), runs, {}).comparisons
    assert compared.seeds == 2
    assert compared.accuracy.mean == pytest.approx(0.005)


def test_a_cell_without_runs_is_left_out() -> None:
    analysis = analyse(plan_of("a", "b"), [results([0.9]), []], {"b-s0": "diverged"})
    assert [cell.label for cell in analysis.cells] == ["a"]
    assert analysis.comparisons == []
    assert analyse(plan_of("a", "b"), [[], results([0.9])], {}).comparisons == []


def test_an_image_counts_for_the_cell_that_classifies_it_correctly_more_often() -> None:
    base = results([0.9] * 3, wrong=[{0, 1, 2}, {0, 1}, {0}])
    other = results([0.9] * 3, wrong=[{0, 3}, set(), set()])
    (compared,) = analyse(plan_of("a", "b"), [base, other], {}).comparisons
    assert compared.images is not None
    # 0: 1 wrong of 3 against 3; 1: 0 against 2; 2: 0 against 1; 3: 1 against 0
    assert (compared.images.only_a, compared.images.only_b) == (3, 1)


def test_other_images_are_not_compared() -> None:
    base, other = results([0.9], wrong=[set()]), results([0.9], wrong=[set()], dataset="mnist")
    (compared,) = analyse(plan_of("a", "b"), [base, other], {}).comparisons
    assert compared.images is None


def test_p_values_are_adjusted_for_the_number_of_cells() -> None:
    base = [0.90, 0.92, 0.94, 0.93]
    others = [[0.91, 0.94, 0.95, 0.96], [0.90, 0.93, 0.94, 0.93], [0.95, 0.96, 0.98, 0.99]]
    runs = [results(base), *map(results, others)]
    analysis = analyse(plan_of("a", "b", "c", "d"), runs, {})
    raw = [each.accuracy.p_value for each in analysis.comparisons]
    adjusted = [each.accuracy_p_adjusted for each in analysis.comparisons]
    order = np.argsort(raw)
    assert adjusted[order[0]] == pytest.approx(3 * raw[order[0]])
    assert adjusted[order[1]] == pytest.approx(max(2 * raw[order[1]], 3 * raw[order[0]]))


CURVES = ([0.5, 0.8, 0.96, 0.97], [0.5, 0.96, 0.97, 0.97])


def test_epochs_to_the_highest_threshold_that_all_reach() -> None:
    base = results([0.9] * 3, curves=[CURVES[0]] * 3)
    other = results([0.9] * 3, curves=[CURVES[1]] * 2 + [CURVES[0]])
    (compared,) = analyse(plan_of("a", "b"), [base, other], {}).comparisons
    assert compared.saved is not None
    assert compared.saved.accuracy == 0.97
    assert compared.saved.epochs.differences == (1, 1, 0)
    (compared,) = analyse(plan_of("a", "b"), [base, other], {}, threshold=0.8).comparisons
    assert compared.saved is not None
    assert compared.saved.epochs.differences == (0, 0, 0)


def test_a_threshold_that_some_never_reach() -> None:
    base = results([0.9] * 3, curves=[[0.5], [0.98], [0.98]])
    other = results([0.9] * 3, curves=[[0.98]] * 3)
    analysis = analyse(plan_of("a", "b"), [base, other], {}, threshold=0.975)
    assert analysis.comparisons[0].saved is None
    assert analysis.comparisons[0].not_reached == (0, 1)
    assert "b reached 97.5 % on validation images in 3 of 3 runs, a in 2;" in answers(analysis)[0]


def test_a_sentence_for_a_difference() -> None:
    rise = [[0.5, 0.6, 0.7, 0.8, 0.97], [0.5, 0.6, 0.7, 0.8, 0.97], [0.5, 0.6, 0.7, 0.97, 0.97]]
    base = results([0.970, 0.971, 0.972], curves=rise)
    other = results([0.980, 0.982, 0.981], curves=[[0.5, 0.97, 0.97, 0.97, 0.97]] * 3)
    (sentence,) = answers(analyse(plan_of("sgd", "adam"), [base, other], {}))
    assert sentence.startswith(
        "adam reached 97 % on validation images 2.7 epochs sooner than sgd (95 % interval 1.2–4.1);"
        " after 5 epochs adam was better on the test images (+1.00 points, 95 % interval +0.75 to "
        "+1.25, p = 0.0"
    )


def test_a_sentence_for_no_difference() -> None:
    curves = [[0.97]] * 3
    base = results([0.97, 0.98, 0.97], curves=curves)
    other = results([0.98, 0.97, 0.97], curves=curves)
    (sentence,) = answers(analyse(plan_of("a", "b"), [base, other], {}))
    assert "equally soon, as far as 3 seeds can tell" in sentence
    assert "after 1 epoch no difference in test accuracy was found (0.00 points" in sentence


def test_a_sentence_for_one_seed_claims_nothing() -> None:
    base, other = results([0.9], wrong=[{1}]), results([0.9], wrong=[{2, 3}])
    (sentence,) = answers(analyse(plan_of("a", "b"), [base, other], {}))
    assert "no difference was found (p = 1). One seed cannot tell" in sentence
    assert answers(analyse(plan_of("a"), [base], {})) == [
        "a reached 90.00 % with one seed; its spread is unknown."
    ]


@pytest.mark.parametrize(
    ("accuracies", "said"),
    [
        ([0.98, 0.1135, 0.97], "Of the 3 runs of sgd 1 did not learn (11.35 % at most), which"),
        ([0.1, 0.1135, 0.097], None),
        ([0.98, 0.7, 0.97], None),
    ],
)
def test_runs_that_did_not_learn_are_named(accuracies: list[float], said: str | None) -> None:
    base, other = results([0.98, 0.97, 0.975]), results(accuracies)
    (sentence,) = answers(analyse(plan_of("adam", "sgd"), [base, other], {}))
    assert ("did not learn" in sentence) == (said is not None)
    assert said is None or said in sentence
