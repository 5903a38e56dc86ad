"""Data parallelism: processes that train one network, each on its share of every batch.

Each computes the gradient of its share, the gradients are summed, and all take the same step, so
that their weights stay equal to the bit. Batch norm sees a worker's own share; its running
statistics are averaged after each epoch (Goyal et al., "Accurate, large minibatch SGD", 2017, who
keep the statistics of each worker apart for the same reason: sharing them costs more than it
gives).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from kilonet.errors import TrainingError


class WorkerLostError(TrainingError):
    """Another worker no longer answers."""


@dataclass(frozen=True)
class Workers:
    """This process's place, ``rank`` from 0, among ``size`` that train together.

    One alone, the default, needs no one: every method then leaves things as they are.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the one that writes files and speaks to the user."""
        return self.rank == 0

    def share(self, batch: Tensor) -> tuple[Tensor, float]:
        """Return this worker's part of ``batch``, (N, …), and its weight in the whole.

        The weights of all workers add up to 1, and the parts' sizes differ by one at most. Of a
        batch too small to give everyone something each takes the whole.
        """
        if len(batch) < self.size:
            return batch, 1 / self.size
        mine = batch.tensor_split(self.size)[self.rank] if self.size > 1 else batch
        return mine, len(mine) / len(batch)

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the workers, in one message for all of them.

        Raises:
            WorkerLostError: a worker no longer answers.
        """
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with _answered():
            dist.all_reduce(flat)
        sums = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, total in zip(tensors, sums, strict=True):
            tensor.copy_(total.view(tensor.shape))

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace each floating-point tensor by its mean over the workers."""
        if self.size > 1:
            floating = [tensor for tensor in tensors if tensor.is_floating_point()]
            self.add_up(floating)
            torch._foreach_div_(floating, self.size)

    def told(self, news: Any) -> Any:
        """Return the ``news`` of the worker that leads; those of the others are ignored."""
        if self.size == 1:
            return news
        box = [news]
        with _answered():
            dist.broadcast_object_list(box, src=0)
        return box[0]


@contextmanager
def _answered() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # all that PyTorch raises of broken connections and timeouts
        raise WorkerLostError("Another worker no longer answers.") from error
