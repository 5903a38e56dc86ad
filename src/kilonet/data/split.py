"""Stratified splits and folds that depend only on the labels and a seed."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kilonet.errors import UsageError


def stratified_split(labels: Tensor, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Return the indices of the images to keep, and of those to hold out.

    ``labels``: int64, (N,). Both results are int64, sorted and disjoint; together they are 0 … N−1.
    The second has exactly ``round(N * fraction)`` images: 5,000 of MNIST's 60,000 for one twelfth,
    none for 0. Each class gives its exact share rounded down; the classes with the largest
    remainders give one more until the total is reached (Hamilton's method).

    Raises:
        UsageError: ``fraction`` is not in [0, 1).
    """
    if not 0 <= fraction < 1:
        raise UsageError(f"The fraction to split off is {fraction}; expected 0 ≤ fraction < 1.")
    values = labels.cpu().numpy()
    _, members, counts = np.unique(values, return_inverse=True, return_counts=True)
    quotas = _largest_remainder(counts, round(len(values) * fraction))
    held_out = np.zeros(len(values), dtype=bool)
    order = _permutation(len(values), seed)
    for index, quota in enumerate(quotas):
        held_out[order[members[order] == index][:quota]] = True
    return torch.from_numpy(np.flatnonzero(~held_out)), torch.from_numpy(np.flatnonzero(held_out))


def stratified_folds(labels: Tensor, folds: int, seed: int) -> Tensor:
    """Return the fold of each example, 0 … ``folds`` − 1: int64, (N,).

    The numbers of a class in two folds differ by at most one.

    Raises:
        UsageError: there are fewer than two folds, or more than the smallest class has examples.
    """
    values = labels.cpu().numpy()
    smallest = int(np.unique(values, return_counts=True)[1].min())
    if not 2 <= folds <= smallest:
        raise UsageError(
            f"{folds} folds: expected 2 or more, and at most {smallest}, the number of images in "
            "the smallest class."
        )
    order = _permutation(len(values), seed)
    by_class = order[np.argsort(values[order], kind="stable")]
    fold = np.empty(len(values), dtype=np.int64)
    fold[by_class] = np.arange(len(values)) % folds
    return torch.from_numpy(fold)


def _largest_remainder(counts: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """Distribute ``total`` over the classes in proportion to ``counts``, in integer arithmetic."""
    size = max(int(counts.sum()), 1)
    quotas, remainders = np.divmod(counts * total, size)
    extra = np.argsort(-remainders, kind="stable")[: total - int(quotas.sum())]
    quotas[extra] += 1
    return quotas


def _permutation(size: int, seed: int) -> NDArray[np.int64]:
    """Shuffle 0 … size−1.

    NumPy guarantees only its raw bit streams between versions, not ``permutation``. Sorting raw
    64-bit words therefore gives the same split in all versions.
    """
    return np.argsort(np.random.PCG64(seed).random_raw(size), kind="stable")
