"""PyTorch Lightning's Trainer on the plain loop's network, data and loader."""

from __future__ import annotations

from typing import Any

import lightning
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader

from benchmarks.contestants import task
from benchmarks.contestants.meter import AfterStep
from benchmarks.contestants.plain_loop import Digits, network


class Classifier(lightning.LightningModule):  # type: ignore[misc, unused-ignore]
    """The module that a user of Lightning writes: network, step, optimizer and schedule."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.network = network()
        self.steps = steps

    def training_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        """Return the loss of a batch."""
        images, labels = batch
        return F.cross_entropy(self.network(images), labels)

    def configure_optimizers(self) -> Any:
        """Return SGD under one cycle, advanced after each batch."""
        optimizer = torch.optim.SGD(self.parameters(), task.PEAK_RATE, momentum=task.MOMENTUM)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, task.PEAK_RATE, total_steps=self.steps, cycle_momentum=False
        )
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


class Report(lightning.Callback):  # type: ignore[misc, unused-ignore]
    """Reports each step to the meter."""

    def __init__(self, after_step: AfterStep) -> None:
        self.after_step = after_step

    def on_train_batch_end(self, *context: Any) -> None:
        """Count the batch."""
        _trainer, _module, _outputs, (_images, labels), _index = context
        self.after_step(len(labels))


def train(after_step: AfterStep, data: str, epochs: int, batch_size: int, workers: int) -> None:
    """Fit, without loggers, progress bars and checkpoints, which cost time."""
    model = Classifier(task.steps_in(epochs, batch_size))
    task.require_same_size(sum(parameter.numel() for parameter in model.parameters()))
    loader = DataLoader(Digits(data, "train"), batch_size, shuffle=True, num_workers=workers)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=[Report(after_step)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, loader)
