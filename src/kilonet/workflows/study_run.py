"""One run of a study, wherever it is made: begun, gone on with, or found finished."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from kilonet.errors import CheckpointError, RunError
from kilonet.progress import Reporter
from kilonet.recipe.families import CustomConfig
from kilonet.recipe.load import parse_recipe
from kilonet.runs import layout
from kilonet.runs.directory import locked
from kilonet.runs.find import open_run
from kilonet.studies.plan import Job
from kilonet.workflows.run import Run
from kilonet.workflows.train import resume, train

PATIENCE = 30  # seconds for a worker of a coordinator that was killed to be gone


def make_run(job: Job, folder: Path, data_dir: Path | None, reporter: Reporter) -> Run:
    """Return the run that ``job`` asks for, finished, in ``folder``.

    ``reporter`` is told of its epochs. What an interrupted run has done is gone on with, or done
    again where it cannot be read.

    Raises:
        KilonetError: what ends a training, or keeps it from beginning.
    """
    path = folder / job.name
    if path.exists():
        found = _found(job, path, data_dir, reporter)
        if found is not None:
            return found
        shutil.rmtree(path)
    with tempfile.TemporaryDirectory(prefix="kilonet-") as scratch:
        recipe = Path(scratch) / f"{job.recipe}.toml"
        recipe.write_text(job.toml, encoding="utf-8")
        return train(recipe, data_dir=data_dir, out=path, reporter=reporter)


def _found(job: Job, path: Path, data_dir: Path | None, reporter: Reporter) -> Run | None:
    """Return the run at ``path`` finished; None if nothing there is worth keeping."""
    if not (path / layout.RUN).is_file():
        return None
    with locked(path, RunError(f"{path} is in use: another process is training there."), PATIENCE):
        run = open_run(path)
    if run.finished:
        return Run(run)
    recipe = parse_recipe(job.toml, job.name)
    own = recipe.model.name if isinstance(recipe.model, CustomConfig) else None
    try:
        return resume(path, data_dir=data_dir, model=own, reporter=reporter)
    except CheckpointError:
        return None
