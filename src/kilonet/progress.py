"""How library functions report progress: they call a ``Reporter`` and print nothing themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

Row = dict[str, float]
"""The figures of one epoch."""

T = TypeVar("T")


class Reporter:
    """Receives messages and progress, and ignores them; subclasses override what they need.

    It has no influence on the result.
    """

    def message(self, text: str) -> None:
        """Handle one line for the user. A line that begins with "Note:" should be emphasised."""

    def task_started(self, description: str, total: int, unit: str = "") -> None:
        """Begin a task of ``total`` steps, such as a download; ``unit`` "B" counts bytes."""

    def task_progress(self, completed: int) -> None:
        """Report how many steps of the current task are completed."""

    def task_done(self) -> None:
        """End the current task, completed or not."""

    def epoch_started(self, epoch: int, epochs: int, images: int) -> None:
        """Begin ``epoch`` of ``epochs``, counted from 1, over ``images`` training images."""

    def batch_done(
        self, images: int, loss: float, accuracy: float, images_per_second: float
    ) -> None:
        """Report ``images`` done, running mean loss and accuracy, and images per second."""

    def epoch_done(self, row: Row, is_best: bool) -> None:
        """End an epoch; ``row`` has its figures and was added to the history."""


class PrintReporter(Reporter):
    """A reporter that prints messages and one line per epoch to standard output."""

    def __init__(self) -> None:
        self._epochs = 0

    def message(self, text: str) -> None:
        """Print the message."""
        print(text)  # noqa: T201

    def epoch_started(self, epoch: int, epochs: int, images: int) -> None:  # noqa: ARG002
        """Remember the number of epochs."""
        self._epochs = epochs

    def epoch_done(self, row: Row, is_best: bool) -> None:
        """Print the line of the epoch."""
        print(epoch_line(row, self._epochs, is_best))  # noqa: T201


def track(items: Iterable[T], description: str, total: int, reporter: Reporter) -> Iterator[T]:
    """Yield ``items`` and report them as one task of ``total`` steps."""
    reporter.task_started(description, total)
    try:
        for completed, item in enumerate(items, start=1):
            yield item
            reporter.task_progress(completed)
    finally:
        reporter.task_done()


def epoch_line(row: Row, epochs: int, is_best: bool) -> str:
    """Return one line about an epoch: training figures, validation figures, speed."""
    width = len(str(epochs))
    parts = [
        f"epoch {row['epoch']:{width}.0f}/{epochs}",
        f"train loss {row['train_loss']:.4f} accuracy {row['train_accuracy']:.2%}",
    ]
    if "validation_accuracy" in row:
        parts.append(
            f"validation loss {row['validation_loss']:.4f} "
            f"accuracy {row['validation_accuracy']:.2%}{' *' if is_best else ''}"
        )
    parts.append(f"{row['images_per_second']:,.0f} images/s")
    return "  |  ".join(parts)
