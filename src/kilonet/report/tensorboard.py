"""Write the figures of a run as TensorBoard event files in the run's folder."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from kilonet.extras import require
from kilonet.recipe.schema import Recipe
from kilonet.runs.layout import Row

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from kilonet.evaluation.metrics import Metrics

TAGS = {
    "train_loss": "loss/train",
    "validation_loss": "loss/validation",
    "train_accuracy": "accuracy/train",
    "validation_accuracy": "accuracy/validation",
    "test_accuracy": "accuracy/test",
    "learning_rate": "learning rate",
}
TEST_LOSS, TEST_ACCURACY = "test/loss", "test/accuracy"


def require_events(recipe: Recipe) -> None:
    """Check that the logging of ``recipe`` is possible.

    Raises:
        MissingExtraError: TensorBoard is not installed; the message says how to.
    """
    if recipe.log.tensorboard:
        require("tensorboard")


class Events:
    """The event files of a run: scalars by epoch, accuracies as fractions.

    When a run is resumed, the files are rewritten from its ``history``, so that each epoch is in
    them once.
    """

    def __init__(self, folder: Path, history: Sequence[Row] = ()) -> None:
        from torch.utils.tensorboard import SummaryWriter

        shutil.rmtree(folder, ignore_errors=True)
        self._writer: SummaryWriter = SummaryWriter(str(folder))
        self._began = time.time() - sum(row["seconds"] for row in history)
        self._written = 0
        self.update(history)

    def update(self, history: Sequence[Row]) -> None:
        """Add the epochs of ``history`` that are not written yet."""
        ends = [self._began + spent for spent in accumulate(row["seconds"] for row in history)]
        for row, end in [*zip(history, ends, strict=True)][self._written :]:
            for column, tag in TAGS.items():
                if column in row:
                    self._add(tag, row[column], int(row["epoch"]), end)
        self._written = len(history)
        self._writer.flush()

    def add_test(self, metrics: Metrics, epoch: int) -> None:
        """Add the test metrics of the final weights, those of ``epoch``."""
        now = time.time()
        self._add(TEST_ACCURACY, metrics.accuracy, epoch, now)
        self._add(TEST_LOSS, metrics.loss, epoch, now)
        self._writer.flush()

    def close(self) -> None:
        """Flush and close the files."""
        self._writer.close()

    def _add(self, tag: str, value: float, epoch: int, when: float) -> None:
        self._writer.add_scalar(tag, value, epoch, walltime=when)


@contextmanager
def events_of(recipe: Recipe, folder: Path, history: Sequence[Row]) -> Iterator[Events | None]:
    """Open the event files of a run in ``folder``; yield None if ``recipe`` does not want them."""
    if not recipe.log.tensorboard:
        yield None
        return
    events = Events(folder, history)
    try:
        yield events
    finally:
        events.close()
