"""The training loop. Start reading at ``Fit.run``: an epoch, its score, what follows from it.

From the command line this is ``kilonet train RECIPE``; from Python ``kilonet.train("RECIPE")``.

All images are on the device as one uint8 tensor. A step slices a batch, augments and normalises
it as a whole, and updates the weights; nothing is done image by image, and nothing waits for the
device except the progress report a few times a second. Several processes may share each batch
(``workers``): each does all of this on its part, and they meet where gradients are summed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kilonet.data.batches import batches
from kilonet.data.normalise import normalise
from kilonet.errors import CheckpointError
from kilonet.progress import Reporter, Row
from kilonet.recipe.describe import fingerprint
from kilonet.recipe.schema import Recipe
from kilonet.training.augmenting import augmentation_in
from kilonet.training.ema import Average
from kilonet.training.failures import explained
from kilonet.training.kernels import choose_kernels, look_with_kernels, use_kernels
from kilonet.training.material import Material, Part, score
from kilonet.training.optimizers import build_optimizer, gradients, restore_optimizer
from kilonet.training.phases import Phases
from kilonet.training.precision import arithmetic, choose_precision
from kilonet.training.schedules import Schedule
from kilonet.training.seeding import derive, generator
from kilonet.training.state import State
from kilonet.training.tally import Tally, diverged
from kilonet.training.teaching import answers, divergence
from kilonet.training.weights import Weights, weights_of
from kilonet.training.workers import Workers

ALONE = Workers()


@dataclass(frozen=True)
class Outcome:
    """What a fit leaves: a row an epoch, the best and the last weights, and why it ended."""

    history: list[Row]
    best_epoch: int
    best: Weights
    last: Weights
    stopped_because: str


class Fit:
    """One network being trained by one recipe on one device, alone or as one of ``workers``.

    ``model`` is changed in place. The state between two epochs is all there is to it: saved by
    ``state`` and restored by ``restore``, it continues to the same bits on the same machine with
    the same number of workers. Afterwards ``phases`` tells where the time went.
    """

    def __init__(
        self,
        model: nn.Module,
        material: Material,
        recipe: Recipe,
        device: torch.device,
        workers: Workers = ALONE,
    ) -> None:
        self.recipe = recipe
        self.material = material
        self.device = device
        self.workers = workers
        self.phases = Phases(device)
        self.kernels = choose_kernels(recipe.training.kernels, device)
        self.precision = choose_precision(recipe.training.precision, device, self.kernels)
        self.model = use_kernels(self.kernels, model, device)
        self.augment = augmentation_in(1, recipe)
        training = recipe.training
        self.optimizer = build_optimizer(self.model, recipe.optimizer)
        steps = math.ceil(len(material.train) / training.batch_size)
        self.schedule = Schedule(self.optimizer, recipe.schedule, training.epochs, steps)
        self.ema = Average(self.model, training.ema) if training.ema is not None else None
        for looked_at in [*material.teachers, *([self.ema.module] if self.ema else [])]:
            look_with_kernels(self.kernels, looked_at)
        self.history: list[Row] = []
        self.best_epoch = 0
        self.best: Weights = {}

    def run(self, save: Callable[[State], object], reporter: Reporter) -> Outcome:
        """Train until a stopping rule says so, giving ``save`` the state after each epoch.

        Raises:
            TrainingError: the loss or the weights are no longer finite, or the network, its device
                or another worker failed; the last saved state is still good.
        """
        self._start_alike()
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
        return Outcome(self.history, self.best_epoch, self.best, weights_of(self._judged()), reason)

    def state(self) -> State:
        """Return everything that the next epoch depends on, and what was found so far."""
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
        """Go back to a state that ``state`` returned.

        Raises:
            CheckpointError: it is the state of another network or recipe.
        """
        try:
            if state["recipe"] != self._identity():
                raise ValueError("it was made by another recipe or seed")
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

    def _identity(self) -> list[str | int]:
        """Return what a state has to share with a recipe to be gone on with under it."""
        return [fingerprint(self.recipe), self.recipe.training.seed]

    def _train_epoch(self, epoch: int, reporter: Reporter) -> Row:
        """Visit every training image once; return the epoch's training figures."""
        seed, images = self.recipe.training.seed, len(self.material.train)
        order = generator(seed, "order", epoch)
        changes = generator(seed, "augmentation", epoch, self.workers.rank)
        self.augment = augmentation_in(epoch, self.recipe)
        torch.manual_seed(derive(seed, "dropout", epoch, self.workers.rank))
        rate = self.optimizer.param_groups[0]["lr"]
        tally = Tally(self.device, self.workers)
        reporter.epoch_started(epoch, self.recipe.training.epochs, images)
        self.model.train()
        everything = torch.arange(images, device=self.device)
        for batch in batches(everything, self.recipe.training.batch_size, order):
            with explained(epoch):
                tally.add(*self.train_batch(batch, changes), self.workers.copies(batch))
            if tally.due():
                reporter.batch_done(*tally.read(epoch))
        self._agree(tally)
        _, loss_mean, accuracy, images_per_second = tally.read(epoch)
        return {
            "epoch": epoch,
            "learning_rate": rate,
            "train_loss": loss_mean,
            "train_accuracy": accuracy,
            "images_per_second": images_per_second,
        }

    def train_batch(self, batch: Tensor, changes: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Move the weights once, by the training images at the indices ``batch``, int64 (N,).

        Returns mean loss, logits and labels of this worker's share. Augmentation draws from
        ``changes``, dropout from PyTorch's default generator.
        """
        mine, weight = self.workers.share(batch)
        images, labels = self._inputs(mine, changes)
        loss, logits = self._step(images, labels, weight)
        return loss, logits, labels

    def _inputs(self, indices: Tensor, changes: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the training images at ``indices`` as the network is to see them, and labels."""
        train, material = self.material.train, self.material
        with self.phases("data"):
            images = self.augment(train.images[indices], changes)
            return normalise(images, material.mean, material.std), train.labels[indices]

    def _step(self, images: Tensor, labels: Tensor, weight: float) -> tuple[Tensor, Tensor]:
        """Move the weights once; return the mean loss and the logits of these images, detached.

        ``weight`` is that of their loss in the whole batch's.
        """
        smoothing = self.recipe.training.label_smoothing
        with self.phases("forward"):
            with arithmetic(self.precision, self.device):
                logits = self.model(images)
            logits = logits.float()
            loss = F.cross_entropy(logits, labels, label_smoothing=smoothing)
            if self.material.teachers:
                loss = self._taught(loss, logits, images)
        self.optimizer.zero_grad(set_to_none=True)
        with self.phases("backward"):
            (loss * weight).backward()  # type: ignore[no-untyped-call]
        if self.workers.size > 1:
            with self.phases("exchange"):
                self.workers.add_up(gradients(self.model))
        with self.phases("optimizer"):
            self.optimizer.step()
            self.schedule.after_batch()
            if self.ema is not None:
                self.ema.update()
        return loss.detach(), logits.detach()

    def _taught(self, loss: Tensor, logits: Tensor, images: Tensor) -> Tensor:
        """Return ``loss``, that of the labels, mixed with that of the teachers' answers."""
        training = self.recipe.training
        with arithmetic(self.precision, self.device):
            taught = answers(self.material.teachers, images, training.temperature)
        share = training.teacher_share
        return (1 - share) * loss + share * divergence(logits, taught, training.temperature)

    def _start_alike(self) -> None:
        """Give every worker the state of the one that leads."""
        if self.workers.size > 1:
            state = self.workers.told(self.state() if self.workers.leads else None)
            if not self.workers.leads:
                self.restore(state)

    def _agree(self, tally: Tally) -> None:
        """Average what each worker has seen only its share of, and add up the epoch's figures."""
        with self.phases("exchange"):
            self.workers.average(self.model.buffers())
            if self.ema is not None:
                self.workers.average(self.ema.module.buffers())
            tally.add_up()

    def _require_finite_weights(self) -> None:
        """Refuse to keep weights that the epoch's very last step has spoilt."""
        if not all(bool(parameter.isfinite().all()) for parameter in self.model.parameters()):
            raise diverged("weights are", len(self.history) + 1)

    def _score(self) -> Row:
        """Return the validation figures; the test accuracy only where it is to be recorded."""
        row: Row = {}
        material = self.material
        if len(material.validation):
            loss, accuracy = self._scored(material.validation)
            row |= {"validation_loss": loss, "validation_accuracy": accuracy}
        if self.recipe.training.record_test_by_epoch:
            row["test_accuracy"] = self._scored(material.test)[1]
        return row

    def _scored(self, part: Part) -> tuple[float, float]:
        """Return the mean loss and the accuracy of the judged network on ``part``.

        Each worker evaluates its share, and all hear the same figures.
        """
        if self.workers.size == 1:
            return score(self._judged(), part, self.material, self.device)
        mine, _ = self.workers.share(torch.arange(len(part), device=self.device))
        share = Part(part.images[mine], part.labels[mine])
        loss, accuracy = score(self._judged(), share, self.material, self.device)
        # Whole numbers, so that equal accuracies come out equal however the correct are spread.
        counts = [loss * len(mine), round(accuracy * len(mine)), len(mine)]
        sums = torch.tensor(counts, dtype=torch.float64)
        self.workers.add_up([sums])
        loss_sum, correct, images = sums.tolist()
        return loss_sum / images, correct / images

    def _judged(self) -> nn.Module:
        """Return the network that is evaluated: the averaged one where there is one."""
        return self.ema.module if self.ema is not None else self.model

    def _record(self, row: Row) -> None:
        """Append ``row``; keep the weights if no earlier epoch did as well on validation."""
        accuracies = [earlier["validation_accuracy"] for earlier in self._validated()]
        self.history.append(row)
        # Without validation images nothing can be preferred to the latest weights.
        if row.get("validation_accuracy", math.inf) > max(accuracies, default=-math.inf):
            self.best_epoch = len(self.history)
            self.best = weights_of(self._judged())

    def _validated(self) -> list[Row]:
        return [row for row in self.history if "validation_accuracy" in row]

    def _reason_to_stop(self) -> str:
        """Return why training is over, or an empty string; a function of the history alone."""
        training, epochs = self.recipe.training, len(self.history)
        rows = self._validated()
        if rows and training.stop_at_accuracy is not None:
            reached, wanted = rows[-1]["validation_accuracy"], training.stop_at_accuracy
            if reached >= wanted:
                return f"validation accuracy reached {reached:.2%} (asked for {wanted:.2%})"
        if training.patience is not None and epochs - self.best_epoch >= training.patience:
            return f"no better validation accuracy for {training.patience} epochs"
        if epochs >= training.epochs:
            return f"all {epochs} epochs done"
        return ""
