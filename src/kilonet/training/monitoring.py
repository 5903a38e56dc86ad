"""The running figures of an epoch, and the errors that end a training."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from kilonet.errors import KilonetError, TrainingError, is_out_of_memory
from kilonet.training.distributed import ProcessGroup

REPORT_EVERY_SECONDS = 0.25


class RunningMetrics:
    """Running loss, accuracy and speed of an epoch, kept on the device until they are read.

    Until ``all_reduce`` loss and accuracy are those of this process's share of the images; the
    number of images and the speed of all processes are estimated from it.
    """

    def __init__(self, device: torch.device, group: ProcessGroup) -> None:
        self._group = group
        self._processes_estimated = group.size
        # sums of the loss, of the correct predictions, of the images
        self._sums = torch.zeros(3, dtype=torch.float64 if device.type != "mps" else torch.float32)
        self._sums = self._sums.to(device)
        self._began = self._last_read = time.perf_counter()

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor, copies: int = 1) -> None:
        """Count a batch: its mean loss, and how many of its labels the logits predict.

        If ``copies`` processes see the same images, each counts its fraction of them.
        """
        self._sums[0] += loss * (len(labels) / copies)
        self._sums[1] += (logits.argmax(dim=1) == labels).sum() / copies
        self._sums[2] += len(labels) / copies

    def all_reduce(self) -> None:
        """Sum the counts of all processes; each then reads the same figures."""
        self._group.all_reduce([self._sums])
        self._processes_estimated = 1

    def is_due(self) -> bool:
        """Return whether it is time for a progress report."""
        return time.perf_counter() - self._last_read >= REPORT_EVERY_SECONDS

    def read(self, epoch: int) -> tuple[int, float, float, float]:
        """Return (images so far, mean loss, accuracy, images per second); waits for the device.

        Raises:
            TrainingError: the loss is NaN or infinite.
        """
        loss_sum, correct, images = self._sums.tolist()
        self._last_read = time.perf_counter()
        if not math.isfinite(loss_sum):
            raise diverged("loss is", epoch)
        images_of_all = round(images * self._processes_estimated)
        speed = images_of_all / max(self._last_read - self._began, 1e-9)
        return images_of_all, loss_sum / images, correct / images, speed


def diverged(what: str, epoch: int) -> TrainingError:
    """Return the error for a training whose ``what`` ("loss is") no longer finite."""
    return TrainingError(
        f"The {what} no longer finite in epoch {epoch}: training has diverged. "
        "Lower the learning rate (optimizer.lr=...), or warm up (schedule.name=one-cycle)."
    )


@contextmanager
def step_errors(epoch: int) -> Iterator[None]:
    """Turn errors of the network (possibly the user's own) or its device into one clear error.

    Raises:
        TrainingError: something other than a ``KilonetError`` was raised; it is the cause.
    """
    try:
        yield
    except KilonetError:
        raise
    except Exception as error:
        if isinstance(error, torch.OutOfMemoryError) or is_out_of_memory(error):
            raise TrainingError(
                f"The device ran out of memory in epoch {epoch}. "
                "Use smaller batches (training.batch_size=...) or a smaller network."
            ) from error
        lines = str(error).splitlines() or [""]
        raise TrainingError(
            f"A step of epoch {epoch} failed: {type(error).__name__}: {lines[0].rstrip('.')}. "
            "Does the network take the images' shape and return a logit for each class?"
        ) from error
