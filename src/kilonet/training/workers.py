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
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

# Its functions keep the group there is when it is loaded, and that group's threads, for ever; one
# of those may then want Python while Python ends, which aborts the process. PyTorch loads it with
# the first optimizer: it has to be before there is a group.
import torch.distributed.nn.functional
from torch import Tensor

from kilonet.errors import TrainingError, WorkerLostError

FEWEST_EACH = 2  # images of a share: of one alone batch norm would learn nothing


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

    def copies(self, batch: Tensor) -> int:
        """Return how many workers get each image of ``batch``: 1, or all of them.

        All get the whole of a batch that is too small for everyone to have ``FEWEST_EACH``.
        """
        return self.size if len(batch) < FEWEST_EACH * self.size else 1

    def share(self, batch: Tensor) -> tuple[Tensor, float]:
        """Return this worker's part of ``batch``, (N, …), and its weight in the whole.

        The weights of all workers add up to 1, and the parts' sizes differ by one at most.
        """
        if self.copies(batch) == self.size:
            return batch, 1 / self.size
        mine = batch.tensor_split(self.size)[self.rank]
        return mine, len(mine) / len(batch)

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the workers, in one message for all of them.

        They share a device and a type.

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
        floating = [tensor for tensor in tensors if tensor.is_floating_point()]
        if self.size > 1 and floating:
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


def meet(place: Workers, patience: timedelta, folder: Path | None = None) -> Workers:
    """Wait for all the workers, then return ``place``: this process has taken it.

    They find each other by a file in ``folder``, which is on this machine, or where the
    environment says (PyTorch's "env://"), and give each other ``patience`` to answer, now and
    later. What is on GPUs goes over NCCL, all else over gloo.

    Raises:
        TrainingError: they could not come together.
    """
    gpus = torch.cuda.is_available() and dist.is_nccl_available()
    try:
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if gpus else "gloo",
            store=_store(folder, place.size) if folder is not None else None,
            rank=place.rank,
            world_size=place.size,
            timeout=patience,
        )
    except (RuntimeError, ValueError) as error:
        # PyTorch numbers groups, counts this one too, and would look for the next in vain.
        dist.distributed_c10d._world.group_count = 0
        reason = str(error).splitlines()[0].rstrip(". ")
        remedy = "Train with one: training.workers=1" if folder else "See to MASTER_ADDR and _PORT."
        raise TrainingError(
            f"The {place.size} workers could not come together: {reason}. {remedy}"
        ) from error
    return place


def _store(folder: Path, size: int) -> Any:
    return dist.FileStore(str(folder / "meeting"), size)  # type: ignore[attr-defined]


def leave() -> None:
    """Part from the other workers, if this process has met any."""
    if dist.is_initialized():
        dist.destroy_process_group()


@contextmanager
def _answered() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # all that PyTorch raises of broken connections and timeouts
        raise WorkerLostError("Another worker no longer answers.") from error
