"""Progress on the terminal: the reporter that the commands give to library functions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from kilonet.cli.common import SafeConsole
from kilonet.progress import Reporter, Row, epoch_line

NOTE = "Note:"


class ConsoleReporter(Reporter):
    """Prints messages and epochs to ``console``; on a terminal it also shows progress bars.

    Use it as a context manager, which removes the bars at the end.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            _FactsColumn(),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._epochs = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def message(self, text: str) -> None:
        """Print the message as it is: a path may contain what Rich takes for markup."""
        line = Text(text)
        if text.startswith(NOTE):
            line.stylize("bold yellow", 0, len(NOTE))
        self._console.print(line, soft_wrap=True)

    def task_started(self, description: str, total: int, unit: str = "") -> None:
        """Show a bar for the task."""
        self._show_bar(description, total, unit)

    def task_progress(self, completed: int) -> None:
        """Move the bar."""
        if self._task is not None:
            self._progress.update(self._task, completed=completed)

    def task_done(self) -> None:
        """Remove the bar."""
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None

    def epoch_started(self, epoch: int, epochs: int, images: int) -> None:
        """Show a bar for the epoch."""
        self._epochs = epochs
        self._show_bar(f"epoch {epoch}/{epochs}", images, "")

    def batch_done(
        self, images: int, loss: float, accuracy: float, images_per_second: float
    ) -> None:
        """Move the bar."""
        if self._task is not None:
            facts = f"loss {loss:.4f}  accuracy {accuracy:.2%}  {images_per_second:,.0f} images/s"
            self._progress.update(self._task, completed=images, facts=facts)

    def epoch_done(self, row: Row, is_best: bool) -> None:
        """Print the line of the epoch, unfolded even where the console is narrower."""
        self.task_done()
        line = epoch_line(row, self._epochs, is_best)
        self._console.print(line, highlight=False, soft_wrap=True)

    def _show_bar(self, description: str, total: int, unit: str) -> None:
        self.task_done()
        self._progress.start()
        self._task = self._progress.add_task(description, total=total, unit=unit, facts="")


@contextmanager
def progress() -> Iterator[Reporter]:
    """Provide a reporter that shows bars on standard error, if that is a terminal."""
    if not sys.stderr.isatty():
        yield Reporter()
        return
    with ConsoleReporter(SafeConsole(stderr=True)) as reporter:
        yield reporter


class _FactsColumn(ProgressColumn):
    """The bytes of a download, or what the task says about itself."""

    def __init__(self) -> None:
        super().__init__(table_column=Column(no_wrap=True))
        self._bytes = DownloadColumn()

    def render(self, task: Task) -> Text:
        return (
            self._bytes.render(task) if task.fields["unit"] == "B" else Text(task.fields["facts"])
        )
