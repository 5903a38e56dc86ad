from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kilonet.data.dataset import load_dataset
from kilonet.data.split import stratified_split
from kilonet.errors import UsageError

LABELS = torch.arange(120) % 10


@settings(max_examples=200, deadline=None)
@given(
    labels=st.lists(st.integers(0, 12), max_size=200),
    fraction=st.floats(0, 1, exclude_max=True),
    seed=st.integers(0, 2**63),
)
def test_splits_are_disjoint_complete_sorted_exact_and_stratified(
    labels: list[int], fraction: float, seed: int
) -> None:
    train, validation = stratified_split(torch.tensor(labels, dtype=torch.int64), fraction, seed)
    assert train.dtype == validation.dtype == torch.int64
    assert sorted(train.tolist() + validation.tolist()) == list(range(len(labels)))
    assert train.tolist() == sorted(train.tolist())
    assert validation.tolist() == sorted(validation.tolist())
    total = round(len(labels) * fraction)
    assert len(validation) == total
    taken = np.bincount(np.array(labels, int)[validation.numpy()], minlength=13)
    share = np.bincount(np.array(labels, int), minlength=13) * total / max(len(labels), 1)
    assert (np.abs(taken - share) < 1).all()


def test_a_split_depends_only_on_the_seed() -> None:
    first, second = stratified_split(LABELS, 1 / 12, 1)[1], stratified_split(LABELS, 1 / 12, 2)[1]
    torch.manual_seed(5)
    np.random.seed(5)
    assert torch.equal(stratified_split(LABELS, 1 / 12, 1)[1], first)
    assert not torch.equal(first, second)


def test_a_split_never_changes() -> None:
    _, held_out = stratified_split(LABELS, 1 / 12, 0)
    assert held_out.tolist() == [11, 20, 55, 59, 92, 96, 104, 108, 113, 117]


def test_every_index_is_equally_likely() -> None:
    times = torch.zeros(len(LABELS))
    for seed in range(600):
        times[stratified_split(LABELS, 1 / 4, seed)[1]] += 1
    # Binomial(600, 1/4): mean 150, standard deviation 10.6
    assert times.min() > 105 and times.max() < 195


def test_fraction_zero_leaves_validation_empty() -> None:
    train, validation = stratified_split(LABELS, 0, 0)
    assert len(train) == 120 and validation.shape == (0,) and validation.dtype == torch.int64


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 1.5, float("nan")])
def test_other_fractions_are_refused(fraction: float) -> None:
    with pytest.raises(UsageError, match="fraction"):
        stratified_split(LABELS, fraction, 0)


@pytest.mark.mnist
def test_one_twelfth_of_mnist_is_5000(mnist_dir: Path) -> None:
    labels = load_dataset("mnist", mnist_dir, download=False).train_labels
    train, validation = stratified_split(labels, 1 / 12, 0)
    assert (len(train), len(validation)) == (55_000, 5_000)
    assert ((labels[validation].bincount() - labels.bincount() / 12).abs() < 1).all()
