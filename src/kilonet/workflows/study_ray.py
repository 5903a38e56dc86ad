"""A study's runs on a Ray cluster."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from kilonet import __version__
from kilonet.errors import KilonetError, StudyError
from kilonet.progress import Silent
from kilonet.recipe.schema import Recipe
from kilonet.studies.cluster import RayWorkers, pack
from kilonet.studies.plan import Job


def ray_workers(address: str, runs: Path, recipe: Recipe) -> RayWorkers:
    """Return the workers of the cluster at ``address``, each run on a core or GPU of its own.

    Data sets are found on each machine as they are on this one: by its KILONET_DATA, in its cache,
    or by a download.

    Raises:
        UsageError, StudyError: see ``RayWorkers``.
    """
    training = recipe.training
    workers = 1 if training.workers == "auto" else training.workers
    gpus = 1 if training.device.startswith("cuda") else 0
    cpus = (training.threads or 1) * workers
    return RayWorkers(address, runs, make_and_pack, get_ready, cpus=cpus, gpus=gpus)


def get_ready() -> None:
    """Load PyTorch and what else runs need, on a worker."""
    import kilonet.workflows.study_run  # noqa: F401


def make_and_pack(order: dict[str, Any]) -> dict[str, Any]:
    """Make a run on a worker of the cluster and return its directory as bytes."""
    from kilonet.workflows.study_run import make_run
    from kilonet.workflows.study_worker import failure

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        _require_same_version(order["kilonet"])
        job = Job(**order["job"])
        with tempfile.TemporaryDirectory(prefix="kilonet-") as folder:
            run = make_run(job, Path(folder), None, Silent())
            return {"packed": pack(run.path)}
    except KilonetError as error:
        return failure(error)


def _require_same_version(wanted: str) -> None:
    if wanted != __version__:
        raise StudyError(
            f"A worker of the cluster has Kilonet {__version__}, this machine {wanted}. Install "
            "the same on both."
        )
