"""A process that helps another one train: ``python -m kilonet.training.helper``.

``kilonet train --workers N`` starts it; see ``process``. Under ``torchrun`` the processes that do
not lead do the same, told by the one that does.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import TextIO

import torch

from kilonet.data.dataset import load_dataset
from kilonet.errors import KilonetError
from kilonet.models.build import build
from kilonet.recipe.schema import Recipe
from kilonet.training.device import configure, one_of_several
from kilonet.training.fit import Fit
from kilonet.training.material import prepare
from kilonet.training.process import GAVE_UP, OTHERS_LOST, READY, Job
from kilonet.training.progress import Silent
from kilonet.training.trial import go_on_after_trial
from kilonet.training.workers import WorkerLostError, Workers, meet

# A helper ends with the one that leads, whom it may keep waiting but who may keep it waiting as
# long as it likes: saving to a slow disk, or stopped with Ctrl-Z.
NO_HURRY = timedelta(days=365)


def main() -> None:
    """Get ready, wait to be told, help until the training is over."""
    leader = _take_standard_output()
    leader.write(f"{READY}\n")
    leader.flush()
    line = sys.stdin.readline()
    if not line:
        return
    job = json.loads(line)
    threading.Thread(target=_end_with_the_leader, args=(job["folder"],), daemon=True).start()
    try:
        _help(job)
    except WorkerLostError:
        sys.exit(OTHERS_LOST)
    except KilonetError as error:
        leader.write(f"{json.dumps(str(error))}\n")
        leader.flush()
        sys.exit(GAVE_UP)


def job_of(
    recipe: Recipe, device: torch.device, data_dir: Path | None, threads: int, *, trial: bool
) -> Job:
    """Return what a helper has to know, as JSON can hold it; ``trial`` asks for a trial first."""
    return {
        "device": device.type,
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
    device = one_of_several(job["device"], job["rank"])
    place = Workers(job["rank"], job["size"])
    assist(job, meet(place, NO_HURRY, Path(job["folder"])), device)


def _take_standard_output() -> TextIO:
    """Return standard output for what the leader reads; from here on "print" goes nowhere.

    The user's own network may print a lot, and the one in the leading process prints the same.
    """
    kept = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    return kept


def _end_with_the_leader(folder: str) -> None:
    """Wait for standard input to close, which it does when the leading process is gone."""
    while os.read(0, 1024):  # not sys.stdin: a thread that waits in it spoils Python's own end
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main()
