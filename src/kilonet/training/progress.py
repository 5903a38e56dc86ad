"""What is seen while a network trains: a bar on a terminal, a line an epoch elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

Row = dict[str, float]


class Reporter(Protocol):
    """Told by the fit loop how it goes; whatever it does, training does not depend on it."""

    def epoch_started(self, epoch: int, epochs: int, images: int) -> None:
        """Epoch ``epoch`` of ``epochs`` (from 1) begins; it has ``images`` images."""

    def batch_done(self, images: int, loss: float, accuracy: float, rate: float) -> None:
        """``images`` are done; running mean loss, running accuracy, images a second."""

    def epoch_done(self, row: Row, is_best: bool) -> None:
        """An epoch ended with this row of the history."""


class Silent:
    """Says nothing."""

    def epoch_started(self, epoch: int, epochs: int, images: int) -> None:
        """Say nothing."""

    def batch_done(self, images: int, loss: float, accuracy: float, rate: float) -> None:
        """Say nothing."""

    def epoch_done(self, row: Row, is_best: bool) -> None:
        """Say nothing."""


class ConsoleReporter:
    """A progress bar on a terminal; on anything else one plain line an epoch."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._epochs = 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def epoch_started(self, epoch: int, epochs: int, images: int) -> None:
        """Begin a new bar."""
        self._epochs = epochs
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task("", total=images, epoch=f"{epoch}/{epochs}", facts="")

    def batch_done(self, images: int, loss: float, accuracy: float, rate: float) -> None:
        """Move the bar."""
        if self._task is not None:
            facts = f"loss {loss:.4f}  accuracy {accuracy:.2%}  {rate:,.0f} images/s"
            self._bar.update(self._task, completed=images, facts=facts)

    def epoch_done(self, row: Row, is_best: bool) -> None:
        """Print the epoch's line, whole even where the console's width is less."""
        line = epoch_line(row, self._epochs, is_best)
        self._console.print(line, highlight=False, soft_wrap=True)


def epoch_line(row: Row, epochs: int, is_best: bool) -> str:
    """Return one line about an epoch: training, validation, speed."""
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
