"""Data parallelism: several processes train one network, each on its share of every batch.

``torchrun`` starts the processes, on one machine or several. Each computes the gradient of its
share, the gradients are summed, and all take the same step, so that their weights stay equal to
the bit. Batch norm sees the share of its own process; its running statistics are averaged after
each epoch (Goyal et al., "Accurate, large minibatch SGD", 2017, keep the statistics of each process
apart for the same reason: synchronising them costs more than it gives).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

# This module keeps the process group that exists when it is imported, and the group's threads,
# which can abort Python at its end. PyTorch imports it with the first optimizer, so it has to be
# imported before there is a group.
import torch.distributed.nn.functional
from torch import Tensor

from kilonet.errors import TrainingError, WorkerLostError

MIN_SHARE = 2  # images for each process: batch norm learns nothing from a single one
SECONDS_TO_ANSWER = 300  # for the slowest process's step or evaluation
SECONDS_TO_PREPARE = 3600  # for the leader, which may have to download the data set


@dataclass(frozen=True)
class ProcessGroup:
    """The ``size`` processes that train together, seen from the one with number ``rank``.

    The default is a single process, for which the collective operations do nothing.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_leader(self) -> bool:
        """Whether this process writes the files and reports to the user."""
        return self.rank == 0

    def copies(self, batch: Tensor) -> int:
        """Return how many processes get each image of ``batch``: 1, or all of them.

        All get the whole batch if it is too small for ``MIN_SHARE`` images each.
        """
        return self.size if len(batch) < MIN_SHARE * self.size else 1

    def share(self, batch: Tensor) -> tuple[Tensor, float]:
        """Return this process's share of ``batch``, (N, …), and its weight in the whole batch.

        The weights of all processes sum to 1, and the sizes of the shares differ by at most 1.
        """
        if self.copies(batch) == self.size:
            return batch, 1 / self.size
        share = batch.tensor_split(self.size)[self.rank]
        return share, len(share) / len(batch)

    def all_reduce(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the processes, with one message for all tensors.

        The tensors share a device and a dtype.

        Raises:
            WorkerLostError: a process no longer answers.
        """
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with _lost_worker_errors():
            dist.all_reduce(flat)
        sums = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, total in zip(tensors, sums, strict=True):
            tensor.copy_(total.view(tensor.shape))

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace each floating-point tensor by its mean over the processes."""
        floating = [tensor for tensor in tensors if tensor.is_floating_point()]
        if self.size > 1 and floating:
            self.all_reduce(floating)
            torch._foreach_div_(floating, self.size)

    def broadcast(self, value: Any) -> Any:
        """Return the ``value`` of the leader; the values of the others are ignored."""
        if self.size == 1:
            return value
        values = [value]
        with _lost_worker_errors():
            dist.broadcast_object_list(values, src=0)
        return values[0]


SINGLE = ProcessGroup()


def launched_group() -> ProcessGroup:
    """Return the group in which ``torchrun`` started this process; by default a single process.

    The environment variables are PyTorch's: other launchers, such as MPI and Kubernetes, set
    them too.
    """
    try:
        return ProcessGroup(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    except (KeyError, ValueError):
        return SINGLE


def local_rank() -> int:
    """Return the number of this process among those on the same machine."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def init_process_group(group: ProcessGroup, init_method: str = "env://") -> None:
    """Connect this process to the others of ``group``; a single process does nothing.

    The processes find each other as PyTorch's function of this name documents ``init_method``.
    Tensors on GPUs go over NCCL, everything else over gloo.
    """
    if group.size == 1:
        return
    gpus = torch.cuda.is_available() and dist.is_nccl_available()
    seconds = SECONDS_TO_ANSWER if group.is_leader else SECONDS_TO_PREPARE
    try:
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if gpus else "gloo",
            init_method=init_method,
            rank=group.rank,
            world_size=group.size,
            timeout=timedelta(seconds=seconds),
        )
    except (RuntimeError, ValueError) as error:
        # PyTorch counts this failed group too and would then look for the next one in vain.
        dist.distributed_c10d._world.group_count = 0
        reason = str(error).splitlines()[0].rstrip(". ")
        raise TrainingError(
            f"The {group.size} processes could not connect: {reason}. "
            "Check MASTER_ADDR and MASTER_PORT."
        ) from error


def destroy_process_group(group: ProcessGroup) -> None:
    """Disconnect this process from the others of ``group``, if it is connected."""
    if group.size > 1 and dist.is_initialized():
        dist.destroy_process_group()


@contextmanager
def _lost_worker_errors() -> Iterator[None]:
    """Turn PyTorch's errors about broken connections and timeouts into one of this package."""
    try:
        yield
    except RuntimeError as error:
        raise WorkerLostError("Another training process no longer answers.") from error
