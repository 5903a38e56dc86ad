"""Progress on the terminal: the reporter that the commands give to library functions."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.live import Live
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
from rich.table import Column, Table
from rich.text import Text

from kilonet.cli.common import SafeConsole
from kilonet.progress import Reporter, Row, Silent, epoch_line
from kilonet.report.formatting import duration
from kilonet.studies.coordinator import StudyObserver

if TYPE_CHECKING:
    from kilonet.studies.directory import StudyDirectory

NOTE = "Note:"


class ConsoleReporter:
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
        yield Silent()
        return
    with ConsoleReporter(SafeConsole(stderr=True)) as reporter:
        yield reporter


@contextmanager
def study_reporter(console: Console | None) -> Iterator[Reporter]:
    """Provide a reporter of a study: a live table on a terminal, else one line for each run."""
    if console is None:
        yield Silent()
        return
    reporter = StudyTable(console) if console.is_terminal else ConsoleReporter(console)
    with reporter:
        yield reporter


@dataclass
class _CellProgress:
    """The runs of one cell, by name."""

    label: str
    planned: set[str]
    accuracies: dict[str, float] = field(default_factory=dict)
    """Test accuracies of the finished runs."""
    in_progress: dict[str, Row] = field(default_factory=dict)
    """The last row of the history of each run; empty before its first epoch ends."""
    failed: set[str] = field(default_factory=set)


class StudyTable(ConsoleReporter, StudyObserver):
    """Shows a live table on a terminal while a study runs, one row for each cell."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._live: Live | None = None
        self._newly_finished = 0

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        if self._live is not None:
            self._live.stop()

    def study_started(self, study: StudyDirectory, finished: Collection[str]) -> None:
        """Show the table, with the results of the runs that are finished already."""
        plan = study.plan
        self._study = study
        self._cells = [
            _CellProgress(cell.label, {plan.run_name(cell, seed) for seed in plan.seeds})
            for cell in plan.cells
        ]
        self._cell_of = {name: cell for cell in self._cells for name in cell.planned}
        self._epochs = plan.epochs()
        for name in finished:
            self._cell_of[name].accuracies[name] = self._accuracy(name)
        self._start = time.monotonic()
        self._progress.stop()  # Rich draws one live display at a time
        self._live = Live(
            get_renderable=self._table, console=self._console, refresh_per_second=4, transient=True
        )
        self._live.start()

    def run_started(self, job: str) -> None:
        """Show that the run has started."""
        self._cell_of[job].in_progress[job] = {}

    def epoch_finished(self, job: str, row: Row) -> None:
        """Show the latest epoch of the run."""
        self._cell_of[job].in_progress[job] = row

    def run_finished(self, job: str) -> None:
        """Count the run and include its accuracy in the mean."""
        cell = self._cell_of[job]
        cell.in_progress.pop(job, None)
        cell.accuracies[job] = self._accuracy(job)
        self._newly_finished += 1

    def run_failed(self, job: str, message: str) -> None:
        """Print the message and count the failure."""
        cell = self._cell_of[job]
        cell.in_progress.pop(job, None)
        cell.failed.add(job)
        self.message(f"{job} failed: {message}")

    def run_lost(self, job: str, reason: str) -> None:
        """Print that the run is started again."""
        self._cell_of[job].in_progress.pop(job, None)
        self.message(f"{job} lost its worker ({reason}) and is started again.")

    def _accuracy(self, name: str) -> float:
        run = self._study.finished(name)
        assert run is not None, name
        return float(run.metrics()["test"]["accuracy"])

    def _table(self) -> Table:
        from kilonet.cli.tables import plain_table

        finished = sum(len(cell.accuracies) for cell in self._cells)
        table = plain_table("cell", "runs>", "test>", "in progress")
        title = f"{self._study.path.name}: {finished} of {len(self._cell_of)} runs"
        table.title = Text(title, style="bold")
        for cell in self._cells:
            mean = f"{fmean(cell.accuracies.values()):.2%}" if cell.accuracies else ""
            runs = f"{len(cell.accuracies)}/{len(cell.planned)}"
            table.add_row(Text(cell.label), runs, mean, self._in_progress(cell))
        table.caption = Text(self._remaining(), style="dim")
        return table

    def _in_progress(self, cell: _CellProgress) -> Text:
        parts = [self._stage(name, row) for name, row in list(cell.in_progress.items())]
        if cell.failed:
            parts.append(f"{len(cell.failed)} failed")
        return Text(", ".join(parts))

    def _stage(self, name: str, row: Row) -> str:
        seed = name.rpartition("-s")[2]
        if not row:
            return f"seed {seed}: starting"
        accuracy = f" {row['validation_accuracy']:.2%}" if "validation_accuracy" in row else ""
        return f"seed {seed}: epoch {row['epoch']:.0f}/{self._epochs}{accuracy}"

    def _remaining(self) -> str:
        hint = "Ctrl-C stops; the same command resumes"
        elapsed = time.monotonic() - self._start
        if not self._newly_finished:
            return f"{duration(elapsed)}; {hint}"
        ended = sum(len(cell.accuracies) + len(cell.failed) for cell in self._cells)
        rest = elapsed / self._newly_finished * (len(self._cell_of) - ended)
        return f"{duration(elapsed)}, about {duration(rest)} remaining; {hint}"


class _FactsColumn(ProgressColumn):
    """The bytes of a download, or what the task says about itself."""

    def __init__(self) -> None:
        super().__init__(table_column=Column(no_wrap=True))
        self._bytes = DownloadColumn()

    def render(self, task: Task) -> Text:
        return (
            self._bytes.render(task) if task.fields["unit"] == "B" else Text(task.fields["facts"])
        )
