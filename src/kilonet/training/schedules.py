"""Learning-rate schedules: PyTorch's own, told apart by when they advance."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer
from torch.optim import lr_scheduler as torch_schedules

from kilonet.errors import RecipeError
from kilonet.recipe import schema


class Schedule:
    """A learning-rate schedule that the fit loop tells about each batch and each epoch."""

    def __init__(
        self, optimizer: Optimizer, settings: schema.Schedule, epochs: int, steps_per_epoch: int
    ) -> None:
        total = epochs * steps_per_epoch
        self._by_batch: torch_schedules.LRScheduler | None = None
        self._by_epoch: torch_schedules.LRScheduler | None = None
        self._by_accuracy: torch_schedules.ReduceLROnPlateau | None = None
        if isinstance(settings, schema.OneCycle):
            self._by_batch = _one_cycle(optimizer, settings, total)
        elif isinstance(settings, schema.Cosine):
            self._by_batch = torch_schedules.CosineAnnealingLR(optimizer, total)
        elif isinstance(settings, schema.Step):
            self._by_epoch = torch_schedules.StepLR(
                optimizer, settings.step_size, gamma=settings.gamma
            )
        elif isinstance(settings, schema.Plateau):
            self._by_accuracy = torch_schedules.ReduceLROnPlateau(
                optimizer, mode="max", factor=settings.factor, patience=settings.patience
            )

    def after_batch(self) -> None:
        """Advance the schedules that go batch by batch."""
        if self._by_batch is not None:
            self._by_batch.step()

    def after_epoch(self, validation_accuracy: float | None) -> None:
        """Advance the schedules that go epoch by epoch, or watch the validation accuracy."""
        if self._by_epoch is not None:
            self._by_epoch.step()
        if self._by_accuracy is not None and validation_accuracy is not None:
            self._by_accuracy.step(validation_accuracy)

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to go on from here."""
        active = self._active()
        return {} if active is None else _serialisable(active.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that ``state_dict`` returned."""
        active = self._active()
        if active is not None:
            active.load_state_dict({**active.state_dict(), **state})

    def _active(
        self,
    ) -> torch_schedules.LRScheduler | torch_schedules.ReduceLROnPlateau | None:
        return self._by_batch or self._by_epoch or self._by_accuracy


def _one_cycle(
    optimizer: Optimizer, settings: schema.OneCycle, total: int
) -> torch_schedules.OneCycleLR:
    """OneCycleLR with the momentum left alone, so that it means the same for every optimizer."""
    peak = [group["lr"] for group in optimizer.param_groups]
    try:
        return torch_schedules.OneCycleLR(
            optimizer,
            max_lr=peak,
            total_steps=total + 1,  # it is told of a step after the last batch too
            pct_start=settings.warmup,
            div_factor=settings.start,
            final_div_factor=settings.end,
            cycle_momentum=False,
        )
    except ZeroDivisionError:  # its formula for a rise that ends with the very first batch
        raise RecipeError(
            f"[schedule] warmup: {settings.warmup:g} of {total} batches leaves no batch to rise "
            "in. Choose another fraction, smaller batches or more epochs."
        ) from None


def _serialisable(state: dict[str, Any]) -> dict[str, Any]:
    """Keep the plain values: what is left out (functions, names) the constructor sets again."""
    plain = (int, float, str, bool, type(None))
    return {
        key: value
        for key, value in state.items()
        if isinstance(value, plain)
        or (isinstance(value, list) and all(isinstance(item, plain) for item in value))
    }
