"""A process that helps another one train: ``python -m kilonet.training.helper``.

``kilonet train --workers N`` starts it; see ``crew``. Under ``torchrun`` the processes that do not
lead do the same, told by the one that does.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

import torch

from kilonet.data.dataset import load_dataset
from kilonet.errors import KilonetError
from kilonet.models.build import build
from kilonet.recipe.schema import Recipe
from kilonet.training.crew import READY, Job, meet
from kilonet.training.device import configure, one_of_several
from kilonet.training.fit import Fit
from kilonet.training.material import prepare
from kilonet.training.progress import Silent
from kilonet.training.trial import go_on_after_trial
from kilonet.training.workers import Workers


def main() -> None:
    """Get ready, wait to be told, help until the training is over."""
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    os.dup2(2, 1)  # nobody reads standard output from here on; the user's network may write to it
    line = sys.stdin.readline()
    if not line:
        return
    threading.Thread(target=_end_with_the_leader, daemon=True).start()
    try:
        _help(json.loads(line))
    except KilonetError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)


def job_of(recipe: Recipe, data_dir: Path | None, threads: int, *, trial: bool) -> Job:
    """Return what a helper has to know, as JSON can hold it; ``trial`` asks for a trial first."""
    return {
        "trial": trial,
        "recipe": recipe.model_dump(mode="json", exclude_none=True),
        "data_dir": str(data_dir) if data_dir is not None else None,
        "threads": threads,
    }


def assist(job: Job, workers: Workers, device: torch.device) -> None:
    """Train as ``job`` says, as one of ``workers`` that does not lead; nothing is kept of it.

    Raises:
        WorkerLostError: another worker no longer answers.
        KilonetError: what else ends a training.
    """
    recipe = Recipe.model_validate(job["recipe"])
    configure(device, job["threads"], recipe.training.deterministic)
    data_dir = Path(job["data_dir"]) if job["data_dir"] is not None else None
    dataset = load_dataset(recipe.data.name, data_dir)
    shape = (dataset.channels, *dataset.image_size)
    network = build(recipe.model, shape, dataset.num_classes)
    material = prepare(dataset, recipe.data.validation, recipe.training.seed, device)
    fit = Fit(network, material, recipe, device, workers)
    if not job["trial"] or go_on_after_trial(fit):
        fit.run(lambda _: None, Silent())


def _help(job: Job) -> None:
    device = one_of_several(job["recipe"]["training"]["device"], job["rank"])
    workers = meet(job["backend"], f"file://{job['meeting']}", job["rank"], job["size"])
    assist(job, workers, device)


def _end_with_the_leader() -> None:
    """Wait for standard input to close, which it does when the leading process is gone."""
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
