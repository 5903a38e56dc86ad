"""The running figures of an epoch."""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor

from kilonet.errors import TrainingError

REPORT_EVERY_SECONDS = 0.25


class Tally:
    """Running loss, accuracy and speed of an epoch, kept on the device until they are read."""

    def __init__(self, device: torch.device) -> None:
        self._sums = torch.zeros(2, dtype=torch.float64 if device.type != "mps" else torch.float32)
        self._sums = self._sums.to(device)
        self._images = 0
        self._began = self._last_read = time.perf_counter()

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: its mean loss, and how many of its labels the logits got right."""
        self._sums[0] += loss * len(labels)
        self._sums[1] += (logits.argmax(dim=1) == labels).sum()
        self._images += len(labels)

    def due(self) -> bool:
        """Say whether it is time to tell the user something."""
        return time.perf_counter() - self._last_read >= REPORT_EVERY_SECONDS

    def read(self, epoch: int) -> tuple[int, float, float, float]:
        """Return (images so far, mean loss, accuracy, images a second), waiting for the device.

        Raises:
            TrainingError: the loss is NaN or infinite.
        """
        loss_sum, correct = self._sums.tolist()
        self._last_read = time.perf_counter()
        if not math.isfinite(loss_sum):
            raise diverged("loss is", epoch)
        speed = self._images / max(self._last_read - self._began, 1e-9)
        return self._images, loss_sum / self._images, correct / self._images, speed


def diverged(what: str, epoch: int) -> TrainingError:
    """Return the error of a training whose ``what`` ("loss is") no longer finite."""
    return TrainingError(
        f"The {what} no longer finite in epoch {epoch}: training has diverged. "
        "Lower the learning rate (optimizer.lr=...), or warm up (schedule.name=one-cycle)."
    )
