"""The order in which an epoch visits its images."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


def epoch_order(size: int, generator: torch.Generator) -> Tensor:
    """Return a random permutation of 0 … size−1: int64, (size,), on the generator's device."""
    return torch.randperm(size, generator=generator, device=generator.device)


def batches(
    indices: Tensor, batch_size: int, generator: torch.Generator | None
) -> Iterator[Tensor]:
    """Yield ``indices`` (int64, (N,)) in pieces of ``batch_size``; the last may be shorter.

    With a generator they are shuffled first, without one they keep their order.
    """
    if generator is not None:
        indices = indices[epoch_order(len(indices), generator).to(indices.device)]
    for start in range(0, len(indices), batch_size):
        yield indices[start : start + batch_size]
