"""The training loop. Start reading at ``Fit.run``: an epoch, its score, what follows from it.

From the command line this is ``kilonet train RECIPE``; from Python ``kilonet.train("RECIPE")``.

All images are on the device as one uint8 tensor. A step slices a batch, augments and normalises
it as a whole, and updates the weights; nothing is done image by image, and nothing waits for the
device except the progress report a few times a second. Several processes may share each batch:
each does all of this on its share, and the gradients are summed (see ``distributed``).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kilonet.data.batches import batches, normalise
from kilonet.errors import CheckpointError
from kilonet.progress import Reporter, Row
from kilonet.recipe.fingerprint import fingerprint
from kilonet.recipe.schema import Recipe
from kilonet.training.checkpoints import State, Weights, require_same_tensors, weights_of
from kilonet.training.data import (
    Split,
    TrainingData,
    augmentation_in,
    balanced_indices,
    balanced_weights,
    evaluate_split,
    mixed,
)
from kilonet.training.device import (
    arithmetic,
    choose_kernels,
    choose_precision,
    use_kernels,
    use_kernels_in_evaluation,
)
from kilonet.training.distributed import SINGLE, ProcessGroup
from kilonet.training.losses import cross_entropy_loss, distilled_loss, teacher_probabilities
from kilonet.training.monitoring import RunningMetrics, diverged, step_errors
from kilonet.training.optimizers import (
    MovingAverage,
    build_optimizer,
    gradients,
    restore_optimizer,
)
from kilonet.training.profile import PhaseTimer
from kilonet.training.schedules import Schedule
from kilonet.training.seeding import derive, generator
from kilonet.training.transfer import lower_rates, train_mode


@dataclass(frozen=True)
class Outcome:
    """The result of a fit: a row per epoch, the best and the last weights, why it ended."""

    history: list[Row]
    best_epoch: int
    best: Weights
    last: Weights
    stopped_because: str

    def final_weights(self, recipe: Recipe) -> Weights:
        """Return the weights that ``recipe`` keeps: the best ones or the last ones."""
        return self.best if recipe.training.keep == "best" else self.last


class Fit:
    """The training of one network by one recipe on one device, by one process of ``group``.

    ``model`` is changed in place; ``loaded`` names its tensors that start from other weights.
    ``state`` returns everything that the next epoch depends on.
    After ``restore`` of that state, training ends with bit-identical weights on the same machine
    with the same number of processes. Afterwards ``phases`` says where the time went.
    """

    def __init__(
        self,
        model: nn.Module,
        data: TrainingData,
        recipe: Recipe,
        device: torch.device,
        group: ProcessGroup = SINGLE,
        loaded: Iterable[str] = (),
    ) -> None:
        self.recipe = recipe
        self.data = data
        self.device = device
        self.group = group
        self.phases = PhaseTimer(device)
        self.kernels, _ = choose_kernels(recipe.training.kernels, device)
        self.precision = choose_precision(recipe.training.precision, device, self.kernels)
        self.model = use_kernels(self.kernels, model, device)
        self.augment = augmentation_in(1, recipe)
        training = recipe.training
        self.class_weights = (
            balanced_weights(data.train.labels, data.classes) if training.class_weights else None
        )
        self.optimizer = build_optimizer(self.model, recipe.optimizer)
        if training.weights_rate != 1:
            lower_rates(self.optimizer, self.model, loaded, training.weights_rate)
        steps = math.ceil(len(data.train) / training.batch_size)
        self.schedule = Schedule(self.optimizer, recipe.schedule, training.epochs, steps)
        self.ema = MovingAverage(self.model, training.ema) if training.ema is not None else None
        for evaluated in [*data.teachers, *([self.ema.module] if self.ema else [])]:
            use_kernels_in_evaluation(self.kernels, evaluated)
        self.history: list[Row] = []
        self.best_epoch = 0
        self.best: Weights = {}

    def run(self, save: Callable[[State], object], reporter: Reporter) -> Outcome:
        """Train until a stopping rule applies; call ``save`` with the state after each epoch.

        Raises:
            TrainingError: the loss or the weights are no longer finite, or the network, its device
                or another process failed; the last saved state is still valid.
        """
        self._synchronise_start()
        while not (reason := self._reason_to_stop()):
            began = time.perf_counter()
            row = self._train_epoch(len(self.history) + 1, reporter)
            self._require_finite_weights()
            with self.phases("evaluation"):
                row |= self._score()
            self.schedule.after_epoch(row.get("validation_accuracy"))
            row["seconds"] = time.perf_counter() - began
            self._record(row)
            save(self.state())
            reporter.epoch_done(row, is_best=self.best_epoch == len(self.history))
        last = weights_of(self._evaluated_model())
        return Outcome(self.history, self.best_epoch, self.best, last, reason)

    def state(self) -> State:
        """Return everything that the next epoch depends on, and the results so far."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "ema": self.ema.state_dict() if self.ema is not None else None,
            "history": self.history,
            "best_epoch": self.best_epoch,
            "best": self.best,
            "recipe": self._identity(),
        }

    def restore(self, state: State) -> None:
        """Continue from a state that ``state`` returned.

        Raises:
            CheckpointError: it is the state of another network, recipe or number of processes.
        """
        try:
            if state["recipe"] != self._identity():
                raise ValueError("it was made by another recipe or seed")
            self._require_types(state)
            self.model.load_state_dict(state["model"])
            restore_optimizer(self.optimizer, state["optimizer"])
            self.schedule.load_state_dict(state["schedule"])
            if self.ema is not None:
                self.ema.load_state_dict(state["ema"])
            self.history = state["history"]
            self.best_epoch = state["best_epoch"]
            self.best = state["best"]
        except (LookupError, ValueError, RuntimeError, AttributeError, TypeError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".: ")
            raise CheckpointError(
                f"The training state does not fit this recipe and its network: {reason}. "
                "Train again from the start."
            ) from error

    def _require_types(self, state: State) -> None:
        """Check what loading would accept and convert, or find only later.

        Raises:
            ValueError: a tensor has another shape or type, or a figure is no number.
        """
        require_same_tensors(state["model"], self.model.state_dict(), "model")
        if self.ema is not None:
            require_same_tensors(state["ema"], self.ema.state_dict(), "ema")
        history, best_epoch = state["history"], state["best_epoch"]
        numbers = [value for row in history for value in row.values()]
        if [row["epoch"] for row in history] != [*range(1, len(history) + 1)] or not all(
            type(value) in (int, float) for value in numbers
        ):
            raise ValueError("its history is not a table of numbers")
        if type(best_epoch) is not int or not 0 <= best_epoch <= len(history):
            raise ValueError("its best epoch is not one of its epochs")
        if best_epoch:
            require_same_tensors(state["best"], weights_of(self._evaluated_model()), "best")

    def _identity(self) -> list[str | int]:
        """Return what has to be equal in a state and in the fit that restores it."""
        return [fingerprint(self.recipe, self.group.size), self.recipe.training.seed]

    def _train_epoch(self, epoch: int, reporter: Reporter) -> Row:
        """Visit every training image once; return the epoch's training figures."""
        seed, images = self.recipe.training.seed, len(self.data.train)
        order_rng = generator(seed, "order", epoch)
        augmentation_rng = generator(seed, "augmentation", epoch, self.group.rank)
        self.augment = augmentation_in(epoch, self.recipe)
        torch.manual_seed(derive(seed, "dropout", epoch, self.group.rank))
        rate = self.optimizer.param_groups[0]["lr"]
        metrics = RunningMetrics(self.device, self.group)
        reporter.epoch_started(epoch, self.recipe.training.epochs, images)
        train_mode(self.model)
        indices = torch.arange(images, device=self.device)
        if self.recipe.training.sampling:
            chosen = balanced_indices(self.data.train.labels, self.data.classes, order_rng)
            indices = chosen.to(self.device)
        for batch in batches(indices, self.recipe.training.batch_size, order_rng):
            with step_errors(epoch):
                metrics.add(*self.train_batch(batch, augmentation_rng), self.group.copies(batch))
            if metrics.is_due():
                reporter.batch_done(*metrics.read(epoch))
        self._combine_processes(metrics)
        _, loss_mean, accuracy, images_per_second = metrics.read(epoch)
        return {
            "epoch": epoch,
            "learning_rate": rate,
            "train_loss": loss_mean,
            "train_accuracy": accuracy,
            "images_per_second": images_per_second,
        }

    def train_batch(
        self, batch: Tensor, augmentation_rng: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Take one step with the training images at the indices ``batch``, int64 (N,).

        Returns mean loss, logits and labels of this process's share. Augmentation draws from
        ``augmentation_rng``, dropout from PyTorch's default generator.
        """
        share, weight = self.group.share(batch)
        images, labels = self._inputs(share, augmentation_rng)
        loss, logits = self._step(images, labels, weight)
        return loss, logits, labels

    def _inputs(self, indices: Tensor, augmentation_rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the training images at ``indices``, augmented and normalised, and labels."""
        data, share = self.data, self.recipe.augmentation.handwriting
        with self.phases("data"):
            batch = data.train[indices]
            if data.drawn is not None:
                batch = mixed(batch, data.drawn, share, augmentation_rng)
            images = self.augment(batch.images, augmentation_rng)
            return normalise(images, data.mean, data.std), batch.labels

    def _step(self, images: Tensor, labels: Tensor, weight: float) -> tuple[Tensor, Tensor]:
        """Take one step; return the mean loss and the logits of these images, detached.

        ``weight`` is the weight of their loss in that of the whole batch.
        """
        with self.phases("forward"):
            with arithmetic(self.precision, self.device):
                logits = self.model(images)
            logits = logits.float()
            loss = cross_entropy_loss(logits, labels, self.recipe.training, self.class_weights)
            if self.data.teachers:
                loss = self._distilled(loss, logits, images)
        self.optimizer.zero_grad(set_to_none=True)
        with self.phases("backward"):
            (loss * weight).backward()  # type: ignore[no-untyped-call]
        if self.group.size > 1:
            with self.phases("exchange"):
                self.group.all_reduce(gradients(self.model))
        with self.phases("optimizer"):
            self.optimizer.step()
            self.schedule.after_batch()
            if self.ema is not None:
                self.ema.update()
        return loss.detach(), logits.detach()

    def _distilled(self, loss: Tensor, logits: Tensor, images: Tensor) -> Tensor:
        """Return the weighted sum of ``loss`` (labels) and the distillation loss (teachers)."""
        training = self.recipe.training
        with arithmetic(self.precision, self.device):
            probabilities = teacher_probabilities(self.data.teachers, images, training.temperature)
        return distilled_loss(loss, logits, probabilities, training)

    def _synchronise_start(self) -> None:
        """Give every process the state of the leader."""
        if self.group.size > 1:
            state = self.group.broadcast(self.state() if self.group.is_leader else None)
            if not self.group.is_leader:
                self.restore(state)

    def _combine_processes(self, metrics: RunningMetrics) -> None:
        """Average the buffers of all processes, and sum the metrics of their shares."""
        with self.phases("exchange"):
            self.group.average(self.model.buffers())
            if self.ema is not None:
                self.group.average(self.ema.module.buffers())
            metrics.all_reduce()

    def _require_finite_weights(self) -> None:
        """Check that the last step of the epoch left finite weights."""
        if not all(bool(parameter.isfinite().all()) for parameter in self.model.parameters()):
            raise diverged("weights are", len(self.history) + 1)

    def _score(self) -> Row:
        """Return the validation figures; the test accuracy only where it is to be recorded."""
        row: Row = {}
        if len(self.data.validation):
            loss, accuracy = self._evaluate(self.data.validation)
            row |= {"validation_loss": loss, "validation_accuracy": accuracy}
        if self.recipe.training.record_test_by_epoch:
            row["test_accuracy"] = self._evaluate(self.data.test)[1]
        return row

    def _evaluate(self, split: Split) -> tuple[float, float]:
        """Return the mean loss and the accuracy on ``split``; each process evaluates a share."""
        model = self._evaluated_model()
        if self.group.size == 1:
            return evaluate_split(model, split, self.data, self.device)
        indices, _ = self.group.share(torch.arange(len(split), device=self.device))
        loss, accuracy = evaluate_split(model, split[indices], self.data, self.device)
        # Whole numbers, so that equal accuracies come out equal in any number of shares.
        counts = [loss * len(indices), round(accuracy * len(indices)), len(indices)]
        sums = torch.tensor(counts, dtype=torch.float64)
        self.group.all_reduce([sums])
        loss_sum, correct, images = sums.tolist()
        return loss_sum / images, correct / images

    def _evaluated_model(self) -> nn.Module:
        """Return the network that is evaluated: the moving average if there is one."""
        return self.ema.module if self.ema is not None else self.model

    def _record(self, row: Row) -> None:
        """Append ``row``; keep the weights if every earlier validation accuracy was lower."""
        accuracies = [earlier["validation_accuracy"] for earlier in self._validated()]
        self.history.append(row)
        # Without validation images the latest weights count as the best.
        if row.get("validation_accuracy", math.inf) > max(accuracies, default=-math.inf):
            self.best_epoch = len(self.history)
            self.best = weights_of(self._evaluated_model())

    def _validated(self) -> list[Row]:
        return [row for row in self.history if "validation_accuracy" in row]

    def _reason_to_stop(self) -> str:
        """Return why training is over, or an empty string; it depends only on the history."""
        training, epochs = self.recipe.training, len(self.history)
        rows = self._validated()
        if rows and training.stop_at_accuracy is not None:
            reached, goal = rows[-1]["validation_accuracy"], training.stop_at_accuracy
            if reached >= goal:
                return f"validation accuracy reached {reached:.2%} (target: {goal:.2%})"
        if training.patience is not None and epochs - self.best_epoch >= training.patience:
            return f"no better validation accuracy for {training.patience} epochs"
        if epochs >= training.epochs:
            return f"all {epochs} epochs done"
        return ""
