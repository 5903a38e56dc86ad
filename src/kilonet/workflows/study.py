"""Studies: a recipe, what is varied in it, how many seeds; and the answer with its uncertainty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from rich.console import Console

from kilonet.cores import physical_cores
from kilonet.errors import UsageError
from kilonet.extras import require
from kilonet.progress import Reporter
from kilonet.recipe.catalog import DEFAULT_RECIPE
from kilonet.recipe.schema import Recipe
from kilonet.studies.cluster import located
from kilonet.studies.coordinator import Coordinator, Queue, StudyStopped
from kilonet.studies.directory import REPORT, StudyDirectory, opened
from kilonet.studies.local import LocalWorkers
from kilonet.studies.places import Place
from kilonet.studies.watch import StudyWatcher
from kilonet.workflows.overrides import as_overrides
from kilonet.workflows.run import Run
from kilonet.workflows.study_plan import Asked, Vary, ask, settle

if TYPE_CHECKING:
    from kilonet.studies.analysis import Analysis

On: TypeAlias = Literal["local", "ray"]

SEEDS = 5


@dataclass(frozen=True)
class Study:
    """A study that has been carried out."""

    directory: StudyDirectory
    analysis: Analysis

    @property
    def path(self) -> Path:
        """Its directory."""
        return self.directory.path

    @property
    def report(self) -> Path:
        """The report to open in a browser."""
        return self.directory.file(REPORT)

    @property
    def answers(self) -> list[str]:
        """What it found, a sentence each."""
        from kilonet.studies.words import sentences

        return sentences(self.analysis)

    @property
    def runs(self) -> list[Run]:
        """Its finished runs, cell by cell, in the order of their seeds."""
        names = [run.name for cell in self.analysis.cells for run in cell.runs]
        return [Run(run) for name in names if (run := self.directory.finished(name)) is not None]


def study(  # noqa: PLR0913 - given by name
    recipe: str | Path = DEFAULT_RECIPE,
    *,
    vary: Vary = (),
    seeds: int = SEEDS,
    overrides: Sequence[str] = (),
    baseline: str | None = None,
    threshold: float | None = None,
    name: str | Path | None = None,
    jobs: int | None = None,
    on: On = "local",
    address: str = "auto",
    data_dir: str | Path | None = None,
    console: Console | None = None,
    reporter: Reporter | None = None,
    **keywords: Any,
) -> Study:
    """Train every combination of what is varied with ``seeds`` seeds each, and compare them.

    ``vary`` maps keys to their values, ``{"optimizer.name": ["adam", "sgd"]}``, or has words such
    as ``"optimizer.name=adam,sgd"``; without it there is one cell. ``baseline`` names the cell that
    the others are compared with (default: the first), ``threshold`` the validation accuracy whose
    epoch is compared (default: the highest round one that all reach). ``overrides`` and keywords
    change the recipe of all cells. ``name`` is the study's directory, in the studies directory
    (default: made from the recipe and the keys). ``jobs`` runs at a time are made here (default: as
    many as there are cores or GPUs), or with ``on="ray"`` by the cluster at ``address``.

    The same call again goes on where an earlier one stopped: nothing finished is done twice.

    Raises:
        UsageError, RecipeError: something asked for is wrong. Nothing is trained then.
        DataError: the data set cannot be had or is damaged.
        StudyError: the study is in use, of another format, or its workers fail again and again.
        StudyStopped: Ctrl-C; the same call goes on.
    """
    require("train")
    asked = ask(recipe, vary, seeds, [*overrides, *as_overrides(keywords)], baseline, name)
    _check(threshold, jobs)
    where = Path(data_dir) if data_dir is not None else None
    with places(asked, on, address, jobs, where) as place:
        plan = settle(asked, where, reporter)
        with opened(asked.path, plan) as directory:
            failures = carry_out(directory, place, console)
            return _concluded(directory, failures, threshold, asked.command_line())


def carry_out(directory: StudyDirectory, place: Place, console: Console | None) -> dict[str, str]:
    """Make the runs of the plan that are not finished; return those that failed, and why.

    Raises:
        StudyError: they cannot be made.
        StudyStopped: Ctrl-C.
    """
    jobs = directory.plan.jobs()
    finished = {job.name for job in jobs if directory.finished(job.name) is not None}
    with StudyWatcher(directory, console) as watcher, stopped_kindly(directory.path):
        watcher.found(finished)
        queue = Queue(job for job in jobs if job.name not in finished)
        Coordinator(queue, place, watcher).run(_load_what_concludes)
        return watcher.failures


def _load_what_concludes() -> None:
    """Import what the statistics and the report need, which would take a second at the end."""
    import kilonet.studies.analysis
    import kilonet.studies.results  # noqa: F401


@contextmanager
def stopped_kindly(path: Path) -> Iterator[None]:
    """Say with Ctrl-C what is kept, and how to go on.

    Raises:
        StudyStopped: Ctrl-C inside.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise StudyStopped(
            f"Stopped. Finished runs and whole epochs are kept in {path}; the same line goes on."
        ) from None


def _check(threshold: float | None, jobs: int | None) -> None:
    if threshold is not None and not 0 < threshold <= 1:
        raise UsageError(
            f"The threshold is a fraction such as 0.97, above 0 and at most 1, not {threshold:g}."
        )
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs must be at least 1, not {jobs}.")


@contextmanager
def places(
    asked: Asked,
    on: On,
    address: str,
    jobs: int | None,
    data_dir: Path | None,
    *,
    left: int | None = None,
) -> Iterator[Place]:
    """Provide workers, which load PyTorch while this process, too, does that and prepares.

    ``left`` is how many runs there are to be made, where the plan does not say.
    """
    place: Place
    begun = StudyDirectory(asked.path, asked.plan())
    if left is None:
        left = sum(begun.finished(name) is None for name in begun.plan.run_names())
    if on == "ray":
        require("ray")
        located(address)  # before all that takes time
        from kilonet.workflows.study_ray import ray_workers

        place = ray_workers(address, begun.runs, asked.resolved[0].recipe)
    else:
        place = local_workers(asked.resolved[0].recipe, begun.runs, data_dir, jobs)
    try:
        place.warm_up(left)
        yield place
    finally:
        place.close()


def local_workers(
    recipe: Recipe, runs: Path, data_dir: Path | None, jobs: int | None
) -> LocalWorkers:
    """Return workers on this machine: ``jobs``, or as many as it has cores, or GPUs."""
    gpus = _gpus(recipe)
    room = gpus or physical_cores() // ((recipe.training.threads or 1) * _workers(recipe))
    return LocalWorkers(jobs or max(1, room), runs, data_dir, gpus)


def _workers(recipe: Recipe) -> int:
    return 1 if recipe.training.workers == "auto" else recipe.training.workers


def _gpus(recipe: Recipe) -> int:
    """Return how many CUDA devices the runs are to share; PyTorch is asked only if there may be."""
    if recipe.training.device not in ("auto", "cuda") or not any(Path("/dev").glob("nvidia[0-9]*")):
        return 0
    import torch

    return torch.cuda.device_count()


def _concluded(
    directory: StudyDirectory, failures: dict[str, str], threshold: float | None, command: str
) -> Study:
    from kilonet.studies.analysis import analyse
    from kilonet.studies.found import found_in
    from kilonet.studies.results import write_results

    analysis = analyse(directory.plan, found_in(directory), failures, threshold)
    write_results(directory, analysis, command)
    return Study(directory, analysis)
