"""Learning-rate schedules, as PyTorch implements them; some step per batch, some per epoch."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer
from torch.optim import lr_scheduler as torch_schedules

from kilonet.errors import RecipeError
from kilonet.recipe import schema


class Schedule:
    """A learning-rate schedule. The training loop calls it after each batch and each epoch."""

    def __init__(
        self, optimizer: Optimizer, settings: schema.Schedule, epochs: int, steps_per_epoch: int
    ) -> None:
        total = epochs * steps_per_epoch
        self._by_batch: torch_schedules.LRScheduler | None = None
        self._by_epoch: torch_schedules.LRScheduler | None = None
        self._by_accuracy: torch_schedules.ReduceLROnPlateau | None = None
        if isinstance(settings, schema.OneCycleConfig):
            self._by_batch = _one_cycle(optimizer, settings, total)
        elif isinstance(settings, schema.CosineConfig):
            self._by_batch = torch_schedules.CosineAnnealingLR(optimizer, total)
        elif isinstance(settings, schema.StepConfig):
            self._by_epoch = torch_schedules.StepLR(
                optimizer, settings.step_size, gamma=settings.gamma
            )
        elif isinstance(settings, schema.PlateauConfig):
            self._by_accuracy = torch_schedules.ReduceLROnPlateau(
                optimizer, mode="max", factor=settings.factor, patience=settings.patience
            )

    def after_batch(self) -> None:
        """Step a schedule that changes the rate batch by batch."""
        if self._by_batch is not None:
            self._by_batch.step()

    def after_epoch(self, validation_accuracy: float | None) -> None:
        """Step a schedule that changes the rate by epochs or by the validation accuracy."""
        if self._by_epoch is not None:
            self._by_epoch.step()
        if self._by_accuracy is not None and validation_accuracy is not None:
            self._by_accuracy.step(validation_accuracy)

    def state_dict(self) -> dict[str, Any]:
        """Return what ``load_state_dict`` needs to continue from here."""
        active = self._active()
        return {} if active is None else _serialisable(active.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that ``state_dict`` returned."""
        active = self._active()
        if active is not None:
            active.load_state_dict({**active.state_dict(), **state})

    def _active(
        self,
    ) -> torch_schedules.LRScheduler | torch_schedules.ReduceLROnPlateau | None:
        return self._by_batch or self._by_epoch or self._by_accuracy


def _one_cycle(
    optimizer: Optimizer, settings: schema.OneCycleConfig, total: int
) -> torch_schedules.OneCycleLR:
    """Return OneCycleLR without its change of momentum, which some optimizers do not have."""
    peak = [group["lr"] for group in optimizer.param_groups]
    try:
        return torch_schedules.OneCycleLR(
            optimizer,
            max_lr=peak,
            total_steps=total + 1,  # it also steps after the last batch
            pct_start=settings.warmup,
            div_factor=settings.start,
            final_div_factor=settings.end,
            cycle_momentum=False,
        )
    except ZeroDivisionError:  # its formula fails if the rise ends with the first batch
        raise RecipeError(
            f"[schedule] warmup: {settings.warmup:g} of {total} batches leaves no batch for "
            "the warm-up. Choose another fraction, smaller batches or more epochs."
        ) from None


def _serialisable(state: dict[str, Any]) -> dict[str, Any]:
    """Return the plain values of ``state``; the constructor sets the rest again."""
    plain = (int, float, str, bool, type(None))
    return {
        key: value
        for key, value in state.items()
        if isinstance(value, plain)
        or (isinstance(value, list) and all(isinstance(item, plain) for item in value))
    }
