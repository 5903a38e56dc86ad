"""A study's directory: its plan, its lock, its runs, and the results that the runs contain.

``study.json`` is written first: the format version and the plan. ``runs/`` holds the directories
of ordinary runs; they are the only record of what has been done.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kilonet import __version__
from kilonet.data.folder import resolved_data, short_name
from kilonet.errors import RunError, StudyError, UsageError
from kilonet.files import PART_SUFFIX, write_json
from kilonet.recipe.fingerprint import fingerprint, possible_fingerprints
from kilonet.recipe.load import parse_recipe
from kilonet.runs import layout
from kilonet.runs.directory import RunDirectory, locked
from kilonet.runs.find import open_run
from kilonet.runs.layout import Row, read_json
from kilonet.studies.plan import StudyPlan

FORMAT = 1

STUDY = "study.json"
RUNS = "runs"
RESULTS = "results.json"
REPORT = "report.html"
STORE = "search.sqlite3"


@dataclass(frozen=True)
class StudyDirectory:
    """A study on disk."""

    path: Path
    plan: StudyPlan

    @property
    def runs(self) -> Path:
        """The folder of its runs."""
        return self.path / RUNS

    def file(self, name: str) -> Path:
        """Return the path of its file ``name``."""
        return self.path / name

    def has_finished(self, name: str) -> bool:
        """Return whether its run ``name`` is finished, by ``run.json`` alone.

        Raises:
            RunError: the run is damaged, or of another format.
        """
        path = self.runs / name
        return (path / layout.RUN).is_file() and open_run(path).finished

    def finished(self, name: str) -> RunDirectory | None:
        """Return its run ``name`` if that is finished, else None.

        Raises:
            RunError: the run is damaged, of another format, or not the one that the plan has.
        """
        if not self.has_finished(name):
            return None
        run, toml = open_run(self.runs / name), self.plan.toml_of(name)
        if toml is not None:
            require_run_of(run, toml)
        return run


def require_run_of(run: RunDirectory, toml: str) -> None:
    """Check that the finished ``run`` is complete, and of the recipe ``toml`` and its seed."""
    recipe, wanted = run.recipe(), parse_recipe(toml, "the study's plan")
    data = resolved_data(wanted.data)
    if short_name(data.name) == short_name(recipe.data.name):  # its folder may have been moved
        data = data.model_copy(update={"name": recipe.data.name})
    wanted = wanted.model_copy(update={"data": data})
    remedy = f"Remove {run.path} to train that run again."
    if recipe.training.seed != wanted.training.seed:
        raise RunError(
            f"{run.path} is a run of seed {recipe.training.seed}, not {wanted.training.seed}: it "
            f"was copied from elsewhere. {remedy}"
        )
    if fingerprint(wanted) not in possible_fingerprints(recipe):
        raise RunError(f"{run.path} is a run of another recipe than its study has. {remedy}")
    epochs, rows = run.metrics()["epochs"], len(run.history())
    if epochs != rows or epochs > recipe.training.epochs:
        raise RunError(
            f"{run.path} is not complete: {rows} epochs in {layout.HISTORY}, {epochs} in "
            f"{layout.METRICS}. {remedy}"
        )


@dataclass(frozen=True)
class RunResult:
    """What a finished run reached, and its cost. Accuracies are fractions."""

    name: str
    seed: int
    accuracy: float
    """On the test split, with the weights that the run keeps."""
    dataset: str
    images: int
    """Number of images in the test split."""
    wrong: frozenset[int] | None
    """Indices of the misclassified test images; None if the run did not record them."""
    history: tuple[Row, ...]
    parameters: int
    macs: int
    seconds: float
    """Wall-clock time of all epochs."""

    def validation_accuracies(self) -> list[float]:
        """Return the validation accuracy after each epoch; empty without validation images."""
        return [row["validation_accuracy"] for row in self.history if "validation_accuracy" in row]

    def epochs_to(self, accuracy: float) -> int | None:
        """Return the first epoch with at least that validation accuracy, or None."""
        by_epoch = enumerate(self.validation_accuracies(), 1)
        return next((epoch for epoch, value in by_epoch if value >= accuracy), None)


@contextmanager
def open_study(path: Path, plan: StudyPlan) -> Iterator[StudyDirectory]:
    """Create the study's directory, or resume the study there; lock it meanwhile.

    Raises:
        UsageError: the directory has a study with runs that ``plan`` would not make, or is not a
            study.
        StudyError: it is in use, of another format, damaged, or cannot be written.
    """
    _require_study_or_empty(path)
    try:
        (path / RUNS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudyError(
            f"Cannot write a study to {path}: {error.strerror or error}. Choose another directory "
            "with --name."
        ) from None
    busy = f"{path} is in use: another process runs this study. Wait for it, or stop it."
    with locked(path, StudyError(busy)):
        for incomplete in (path / RUNS).glob(f".*{PART_SUFFIX}"):
            shutil.rmtree(incomplete, ignore_errors=True)  # of a killed process
        _update_plan(path, plan)
        yield StudyDirectory(path, plan)


def read_result(run: RunDirectory, seed: int) -> RunResult:
    """Return the result of the finished ``run``.

    Raises:
        RunError: its files are damaged.
    """
    metrics, history = run.metrics(), run.history()
    wrong = metrics.get("wrong")
    return RunResult(
        name=run.name,
        seed=seed,
        accuracy=metrics["test"]["accuracy"],
        dataset=metrics["dataset"],
        images=metrics["test"]["total"],
        wrong=frozenset(wrong) if wrong is not None else None,
        history=tuple(history),
        parameters=metrics["parameters"],
        macs=metrics.get("macs", 0),
        seconds=sum(row["seconds"] for row in history),
    )


def read_results(study: StudyDirectory) -> list[list[RunResult]]:
    """Return the results of the finished runs of each cell of the plan, in the order of the seeds.

    Raises:
        RunError: a run is damaged; the message says which, and what to do.
    """
    return [list(_results_of_cell(study, index)) for index in range(len(study.plan.cells))]


def _results_of_cell(study: StudyDirectory, index: int) -> Iterator[RunResult]:
    plan = study.plan
    for seed in plan.seeds:
        name = plan.run_name(plan.cells[index], seed)
        try:
            run = study.finished(name)
            if run is not None:
                yield read_result(run, seed)
        except RunError as error:
            remedy = f"Remove {study.runs / name} to train that run again."
            raise RunError(str(error).removesuffix(remedy) + remedy) from None


def _require_study_or_empty(path: Path) -> None:
    with suppress(OSError):
        if (path / STUDY).is_file() or not path.exists():
            return
        if path.is_dir() and {entry.name for entry in path.iterdir()} <= {RUNS, layout.LOCK}:
            return  # stopped before its plan was written
    raise UsageError(f"{path} exists and is not a study. Choose another directory with --name.")


def _update_plan(path: Path, plan: StudyPlan) -> None:
    """Check that ``plan`` extends the stored plan, and store it if it is new."""
    file = path / STUDY
    earlier = _read_plan(file) if file.is_file() else None
    if earlier is not None and (difference := plan.difference_from(earlier)):
        raise UsageError(
            f"{path} is another study: {difference}. Choose another name with --name, or repeat "
            "the command that started it."
        )
    if plan != earlier:
        content = {
            "format": FORMAT,
            "kilonet": __version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "plan": plan.to_json(),
        }
        write_json(file, content)


def _read_plan(file: Path) -> StudyPlan:
    content = _read(file)
    version = content.get("format")
    if isinstance(version, int) and version != FORMAT:
        raise StudyError(
            f"{file.parent} is a study of format {version}; this version of Kilonet reads format "
            f"{FORMAT}. Use Kilonet {content.get('kilonet', 'of the version that made it')}, or "
            "another --name."
        )
    try:
        return StudyPlan.from_json(content["plan"])
    except (LookupError, TypeError, ValueError) as error:
        raise StudyError(
            f"{file} is damaged ({error}). Its runs are intact: move the directory away to start "
            "again."
        ) from None


def _read(file: Path) -> dict[str, Any]:
    try:
        return read_json(file)
    except RunError as error:
        raise StudyError(str(error)) from None
