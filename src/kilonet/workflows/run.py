"""A run as Python sees it: its history, its test metrics, its files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kilonet.files import runs_dir
from kilonet.recipe.schema import Recipe
from kilonet.runs import layout
from kilonet.runs.directory import RunDirectory
from kilonet.runs.find import list_runs as listed
from kilonet.runs.find import open_run
from kilonet.runs.layout import Row

if TYPE_CHECKING:
    from kilonet.evaluation.metrics import Metrics
    from kilonet.training.profile import Profile


@dataclass(frozen=True)
class Run:
    """A training run on disk, finished or not."""

    directory: RunDirectory
    profile: Profile | None = field(default=None, compare=False)
    """Where the time of the training went, if that was measured."""

    @property
    def name(self) -> str:
        """The name of its directory."""
        return self.directory.name

    @property
    def path(self) -> Path:
        """Its directory."""
        return self.directory.path

    @property
    def finished(self) -> bool:
        """Whether it was trained to its end and evaluated."""
        return self.directory.finished

    @property
    def recipe(self) -> Recipe:
        """The resolved recipe that it follows."""
        return self.directory.recipe()

    @property
    def history(self) -> list[Row]:
        """A row an epoch: losses, accuracies as fractions, learning rate, seconds."""
        return self.directory.history()

    @property
    def test(self) -> Metrics:
        """What the judged weights do on the test split.

        Raises:
            RunError: the run has not finished, or its metrics are damaged.
        """
        from kilonet.evaluation.metrics import Metrics

        require_finished(self)
        return Metrics.from_json(self.directory.metrics()["test"])

    @property
    def report(self) -> Path:
        """The report to open in a browser."""
        return self.directory.file(layout.REPORT_HTML)


def require_finished(run: Run) -> None:
    """Check that ``run`` has been trained to its end.

    Raises:
        RunError: it has not; the message says how to go on with it.
    """
    run.directory.require_finished()


def find_run(source: str | Path | Run) -> Run:
    """Return ``source`` itself, or the run at that path or of that name.

    Raises:
        UsageError: there is no such run.
        RunError: it is damaged, or of another format.
    """
    return source if isinstance(source, Run) else Run(open_run(source))


def list_runs(folder: str | Path | None = None) -> list[Run]:
    """Return the readable runs in ``folder`` (default: the runs directory), the oldest first."""
    where = Path(folder) if folder is not None else runs_dir()
    return [Run(directory) for directory in listed(where).runs]
