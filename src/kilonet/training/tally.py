"""The running figures of an epoch."""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor

from kilonet.errors import TrainingError
from kilonet.training.workers import Workers

REPORT_EVERY_SECONDS = 0.25


class Tally:
    """Running loss, accuracy and speed of an epoch, kept on the device until they are read.

    Until ``add_up`` they are those of this worker's share, from which the number of images and the
    speed of all workers are estimated.
    """

    def __init__(self, device: torch.device, workers: Workers) -> None:
        self._workers = workers
        self._like_this_one = workers.size
        # of the loss, of the correct, of the images
        self._sums = torch.zeros(3, dtype=torch.float64 if device.type != "mps" else torch.float32)
        self._sums = self._sums.to(device)
        self._began = self._last_read = time.perf_counter()

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor, copies: int = 1) -> None:
        """Count a batch: its mean loss, and how many of its labels the logits got right.

        Where ``copies`` workers see the same images each counts its part of them.
        """
        self._sums[0] += loss * (len(labels) / copies)
        self._sums[1] += (logits.argmax(dim=1) == labels).sum() / copies
        self._sums[2] += len(labels) / copies

    def add_up(self) -> None:
        """Add what all workers have counted; each then reads the same figures."""
        self._workers.add_up([self._sums])
        self._like_this_one = 1

    def due(self) -> bool:
        """Say whether it is time to tell the user something."""
        return time.perf_counter() - self._last_read >= REPORT_EVERY_SECONDS

    def read(self, epoch: int) -> tuple[int, float, float, float]:
        """Return (images so far, mean loss, accuracy, images a second), waiting for the device.

        Raises:
            TrainingError: the loss is NaN or infinite.
        """
        loss_sum, correct, images = self._sums.tolist()
        self._last_read = time.perf_counter()
        if not math.isfinite(loss_sum):
            raise diverged("loss is", epoch)
        images_of_all = round(images * self._like_this_one)
        speed = images_of_all / max(self._last_read - self._began, 1e-9)
        return images_of_all, loss_sum / images, correct / images, speed


def diverged(what: str, epoch: int) -> TrainingError:
    """Return the error of a training whose ``what`` ("loss is") no longer finite."""
    return TrainingError(
        f"The {what} no longer finite in epoch {epoch}: training has diverged. "
        "Lower the learning rate (optimizer.lr=...), or warm up (schedule.name=one-cycle)."
    )
