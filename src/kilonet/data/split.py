"""Stratified splits that depend only on the labels and a seed."""

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
    """
    if not 0 <= fraction < 1:
        raise UsageError(f"The fraction to split off is {fraction}; expected 0 ≤ fraction < 1.")
    values = labels.cpu().numpy()
    _, members, counts = np.unique(values, return_inverse=True, return_counts=True)
    quotas = _largest_remainder(counts, round(len(values) * fraction))
    held_out = np.zeros(len(values), dtype=bool)
    # NumPy guarantees only its raw bit streams between versions, not ``permutation``. Sorting raw
    # 64-bit words therefore gives the same split in all versions.
    order = np.argsort(np.random.PCG64(seed).random_raw(len(values)), kind="stable")
    for index, quota in enumerate(quotas):
        held_out[order[members[order] == index][:quota]] = True
    return torch.from_numpy(np.flatnonzero(~held_out)), torch.from_numpy(np.flatnonzero(held_out))


def _largest_remainder(counts: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """Distribute ``total`` over the classes in proportion to ``counts``, in integer arithmetic."""
    size = max(int(counts.sum()), 1)
    quotas, remainders = np.divmod(counts * total, size)
    extra = np.argsort(-remainders, kind="stable")[: total - int(quotas.sum())]
    quotas[extra] += 1
    return quotas
