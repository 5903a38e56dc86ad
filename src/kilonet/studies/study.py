"""Run a study: train a grid of recipes with several seeds each, and compare the cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from kilonet.errors import Stopped, UsageError
from kilonet.extras import require
from kilonet.files import write_errors
from kilonet.progress import Reporter
from kilonet.recipe.catalog import DEFAULT_RECIPE
from kilonet.recipe.keys import as_overrides
from kilonet.recipe.load import Resolved
from kilonet.studies.coordinator import (
    Coordinator,
    Executor,
    FixedJobs,
    Report,
    RunEvent,
    RunFailed,
    RunLost,
    WorkerSilent,
)
from kilonet.studies.directory import REPORT, StudyDirectory, open_study
from kilonet.studies.local_executor import local_executor
from kilonet.studies.plan import StudyPlan, StudyRequest, Vary, parse_request
from kilonet.studies.ray_executor import RayExecutor
from kilonet.workflows.runs import Run

if TYPE_CHECKING:
    from kilonet.studies.analysis import Analysis

ExecutorName: TypeAlias = Literal["local", "ray"]

SEEDS = 5


@dataclass(frozen=True)
class Study:
    """A completed study."""

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
        """One sentence for each comparison with the baseline."""
        from kilonet.studies.formatting import answers

        return answers(self.analysis)

    @property
    def runs(self) -> list[Run]:
        """Its finished runs, cell by cell, in the order of their seeds."""
        names = [run.name for cell in self.analysis.cells for run in cell.runs]
        return [Run(run) for name in names if (run := self.directory.finished(name)) is not None]


def study(  # noqa: PLR0913 - keyword arguments
    recipe: str | Path = DEFAULT_RECIPE,
    *,
    vary: Vary = (),
    seeds: int = SEEDS,
    overrides: Sequence[str] = (),
    baseline: str | None = None,
    threshold: float | None = None,
    name: str | Path | None = None,
    jobs: int | None = None,
    on: ExecutorName = "local",
    address: str = "auto",
    data_dir: str | Path | None = None,
    reporter: Reporter | None = None,
    **keywords: Any,
) -> Study:
    """Train every combination of the values in ``vary`` with ``seeds`` seeds, and compare them.

    ``vary`` maps keys to their values, ``{"optimizer.name": ["adam", "sgd"]}``, or has words such
    as ``"optimizer.name=adam,sgd"``; without it there is one cell. ``baseline`` names the cell that
    the others are compared with (default: the first). ``threshold`` is the validation accuracy
    whose epoch is compared (default: the highest round one that all runs reach). ``overrides`` and
    keywords change the recipe of all cells. ``name`` is the study's directory, in the studies
    directory (default: made from the recipe and the keys). ``jobs`` is the number of runs at a time
    on this machine (default: one for each core or GPU). ``on="ray"`` uses the Ray cluster at
    ``address``. ``reporter`` gets messages and the number of finished runs.

    The same call resumes a study that was stopped: finished runs are not repeated.

    Raises:
        UsageError, RecipeError: an argument is wrong. Nothing is trained then.
        DataError: the data set cannot be loaded or is damaged.
        StudyError: the study is in use, of another format, or its workers fail repeatedly.
        Stopped: Ctrl-C; the same call resumes the study.
    """
    require("train")
    reporter = reporter or Reporter()
    all_overrides = [*overrides, *as_overrides(keywords)]
    request = parse_request(recipe, vary, seeds, all_overrides, baseline, name)
    _check(threshold, jobs)
    with open_executor(request, on, address, jobs, data_dir) as executor:
        plan = resolve_plan(request, data_dir, reporter)
        with open_study(request.path, plan) as directory:
            failures = _make_runs(directory, executor, reporter)
            return _conclude(directory, failures, threshold, request.command_line())


def _check(threshold: float | None, jobs: int | None) -> None:
    if threshold is not None and not 0 < threshold <= 1:
        raise UsageError(
            f"The threshold is a fraction such as 0.97, above 0 and at most 1, not {threshold:g}."
        )
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs must be at least 1, not {jobs}.")


@contextmanager
def open_executor(
    request: StudyRequest,
    on: ExecutorName,
    address: str,
    jobs: int | None,
    data_dir: str | Path | None,
    *,
    trials: int | None = None,
) -> Iterator[Executor]:
    """Provide an executor whose workers load PyTorch in the background.

    ``trials`` is the number of runs of a search; a study counts those of its plan.
    """
    study = StudyDirectory(request.path, request.plan())
    missing = trials
    if missing is None:
        missing = sum(not study.has_finished(name) for name in study.plan.run_names())
    recipe = request.resolved[0].recipe
    executor: Executor
    if on == "ray":
        require("ray")
        executor = RayExecutor(address, study.runs, recipe)
    else:
        executor = local_executor(recipe, study.runs, data_dir, jobs)
    try:
        executor.warm_up(missing)
        yield executor
    finally:
        executor.close()


def resolve_plan(
    request: StudyRequest, data_dir: str | Path | None, reporter: Reporter
) -> StudyPlan:
    """Return the plan with the data sets that exist, after checking each network.

    Raises:
        UsageError, RecipeError: a network cannot be built, or exceeds its budget.
        DataError: a data set cannot be loaded, or is damaged.
        MissingExtraError: TensorBoard logs are requested and TensorBoard is not installed.
    """
    from kilonet.models.build import check_budget
    from kilonet.report.tensorboard import require_events
    from kilonet.training.device import choose_device
    from kilonet.workflows.data import load_or_fall_back
    from kilonet.workflows.runs import network_for

    dataset_names: dict[str, str] = {}
    resolved: list[Resolved] = []
    for cell, one in zip(request.cells, request.resolved, strict=True):
        require_events(one.recipe)
        choose_device(one.recipe.training.device)
        check_budget(network_for(one.recipe), one.recipe, f"{one.name} ({cell.label})")
        name = one.recipe.data.name
        if name not in dataset_names:
            used, _, note = load_or_fall_back(one, data_dir, reporter)
            dataset_names[name] = used.recipe.data.name
            if note:
                reporter.message(f"Note: {note}")
        data = one.recipe.data.model_copy(update={"name": dataset_names[name]})
        resolved.append(replace(one, recipe=one.recipe.model_copy(update={"data": data})))
    return request.plan(resolved)


def _make_runs(directory: StudyDirectory, executor: Executor, reporter: Reporter) -> dict[str, str]:
    """Make the runs of the plan that are not finished; return those that failed."""
    jobs = directory.plan.jobs()
    finished = {job.name for job in jobs if directory.finished(job.name) is not None}
    queue = FixedJobs(job for job in jobs if job.name not in finished)
    report = study_messages(directory, reporter, len(finished))
    try:
        with resumable(directory.path):
            return Coordinator(queue, executor, report).run(_import_analysis)
    finally:
        reporter.task_done()


def _import_analysis() -> None:
    """Import the statistics and the report while the first runs train, which saves a second."""
    import kilonet.studies.analysis
    import kilonet.studies.results  # noqa: F401


@contextmanager
def resumable(path: Path) -> Iterator[None]:
    """Turn Ctrl-C into a message that says what is kept and how to resume.

    Raises:
        Stopped: Ctrl-C.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise Stopped(
            f"Stopped. Finished runs and completed epochs are kept in {path}. Repeat the command "
            "to resume."
        ) from None


def study_messages(study: StudyDirectory, reporter: Reporter, finished: int) -> Report:
    """Return a function that reports how each run ends; ``finished`` runs exist already."""
    total = len(study.plan.run_names())
    reporter.task_started(study.path.name, total)
    reporter.task_progress(finished)

    def report(event: RunEvent) -> None:
        nonlocal finished
        job = event.job
        if isinstance(event, RunFailed):
            reporter.message(f"{job} failed: {event.message}")
        elif isinstance(event, WorkerSilent):
            reporter.message(f"{job}: {event.message}")
        elif isinstance(event, RunLost):
            reporter.message(f"{job} lost its worker ({event.reason}) and is started again.")
        elif run := study.finished(job):
            finished += 1
            accuracy = run.metrics()["test"]["accuracy"]
            reporter.message(f"{job}: {accuracy:.2%} on test images ({finished} of {total} runs)")
            reporter.task_progress(finished)

    return report


def _conclude(
    directory: StudyDirectory, failures: dict[str, str], threshold: float | None, command: str
) -> Study:
    from kilonet.studies.analysis import analyse
    from kilonet.studies.directory import read_results
    from kilonet.studies.results import write_results

    analysis = analyse(directory.plan, read_results(directory), failures, threshold)
    with write_errors(directory.path, "Then repeat the command; finished runs are kept."):
        write_results(directory, analysis, command)
    return Study(directory, analysis)
