"""What is seen while a study runs: a live table on a terminal, a line a run elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kilonet.report.formatting import duration
from kilonet.runs.layout import Row
from kilonet.studies.directory import StudyDirectory


@dataclass
class _Progress:
    """How a cell is doing; accuracies by the runs' names."""

    label: str
    planned: set[str]
    done: dict[str, float] = field(default_factory=dict)
    at_work: dict[str, Row] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)


class StudyWatcher:
    """Shows how the runs of ``study`` go, a row a cell; silent without a console."""

    def __init__(self, study: StudyDirectory, console: Console | None) -> None:
        self._study = study
        self._console = console
        self._cells = [
            _Progress(cell.label, {study.plan.run_name(cell, seed) for seed in study.plan.seeds})
            for cell in study.plan.cells
        ]
        self._cell_of = {name: cell for cell in self._cells for name in cell.planned}
        self._epochs = study.plan.epochs()
        self._began = time.monotonic()
        self._fresh = 0
        self.failures: dict[str, str] = {}
        terminal = console is not None and console.is_terminal
        self._live = (
            Live(get_renderable=self._table, console=console, refresh_per_second=4, transient=True)
            if terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def found(self, names: Iterable[str]) -> None:
        """Take note of runs that an earlier line has finished."""
        for name in names:
            self._cell_of[name].done[name] = self._accuracy(name)

    def began(self, job: str) -> None:
        """Show that a run is being made."""
        self._cell_of[job].at_work[job] = {}

    def epoch(self, job: str, row: Row) -> None:
        """Show a run's latest epoch."""
        self._cell_of[job].at_work[job] = row

    def done(self, job: str) -> None:
        """Show what a run has reached."""
        cell = self._cell_of[job]
        cell.at_work.pop(job, None)
        cell.done[job] = self._accuracy(job)
        self._fresh += 1
        self._say(f"{job}: {cell.done[job]:.2%} on test images ({self._count()})")

    def pruned(self, job: str) -> None:
        """No run of a grid is given up."""

    def failed(self, job: str, message: str) -> None:
        """Say why a run will not be finished."""
        cell = self._cell_of[job]
        cell.at_work.pop(job, None)
        cell.failed.add(job)
        self.failures[job] = message
        self._say(f"{job} failed: {message}", always=True)

    def lost(self, job: str, reason: str) -> None:
        """Say that a run is made again."""
        self._cell_of[job].at_work.pop(job, None)
        self._say(f"{job} lost its worker ({reason}) and is made again.", always=True)

    def _accuracy(self, name: str) -> float:
        run = self._study.finished(name)
        assert run is not None, name
        return float(run.metrics()["test"]["accuracy"])

    def _count(self) -> str:
        done = sum(len(cell.done) for cell in self._cells)
        return f"{done} of {len(self._cell_of)} runs"

    def _say(self, line: str, always: bool = False) -> None:
        """Print a line where there is no table, or where the table would not keep it."""
        if self._console is not None and (always or self._live is None):
            self._console.print(Text(line), soft_wrap=True)

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, title_justify="left", caption_justify="left")
        table.title = Text(f"{self._study.path.name}: {self._count()}", style="bold")
        for heading, justify in (("cell", "left"), ("runs", "right"), ("test", "right")):
            table.add_column(heading, justify="right" if justify == "right" else "left")
        table.add_column("at work")
        for cell in self._cells:
            mean = f"{fmean(cell.done.values()):.2%}" if cell.done else ""
            runs = f"{len(cell.done)}/{len(cell.planned)}"
            table.add_row(cell.label, runs, mean, self._at_work(cell))
        table.caption = Text(self._remaining(), style="dim")
        return table

    def _at_work(self, cell: _Progress) -> Text:
        parts = [self._stage(name, row) for name, row in list(cell.at_work.items())]
        if cell.failed:
            parts.append(f"{len(cell.failed)} failed")
        return Text(", ".join(parts))

    def _stage(self, name: str, row: Row) -> str:
        seed = name.rpartition("-s")[2]
        if not row:
            return f"seed {seed}: begins"
        accuracy = f" {row['validation_accuracy']:.2%}" if "validation_accuracy" in row else ""
        return f"seed {seed}: epoch {row['epoch']:.0f}/{self._epochs}{accuracy}"

    def _remaining(self) -> str:
        spent = time.monotonic() - self._began
        left = len(self._cell_of) - sum(len(cell.done) + len(cell.failed) for cell in self._cells)
        if not self._fresh:
            return f"{duration(spent)}; Ctrl-C stops, the same line goes on"
        rest = spent / self._fresh * left
        return (
            f"{duration(spent)}, about {duration(rest)} to go; Ctrl-C stops, the same line goes on"
        )
