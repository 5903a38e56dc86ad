"""A process that helps another one train: ``python -m kilonet.training.helper``.

``kilonet train --workers N`` starts it; see ``process``. Under ``torchrun`` the processes that do
not lead do the same, told by the one that does.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import TextIO

import torch

from kilonet.errors import KilonetError, WorkerLostError
from kilonet.models.build import build
from kilonet.progress import Silent
from kilonet.recipe.schema import Recipe
from kilonet.training.device import configure, one_of_several
from kilonet.training.fit import Fit
from kilonet.training.material import Material
from kilonet.training.process import (
    GAVE_UP,
    HERE,
    OTHERS_LOST,
    READY,
    Job,
    say,
    take_standard_streams,
)
from kilonet.training.trial import go_on_after_trial
from kilonet.training.workers import Workers, meet

# A helper ends with the one that leads, whom it may keep waiting but who may keep it waiting as
# long as it likes: saving to a slow disk, or stopped with Ctrl-Z.
NO_HURRY = timedelta(days=365)


def main() -> None:
    """Get ready, wait to be told, help until the training is over."""
    ear, mouth = take_standard_streams()
    _load_what_comes_late()
    say(mouth, READY)
    line = ear.readline()
    if not line:
        return
    job = json.loads(line)
    watch = threading.Thread(target=_end_with_the_leader, args=(ear, job["folder"]), daemon=True)
    watch.start()
    say(mouth, HERE)
    # Without Python's own end: with others' threads still at work it may end in a signal instead.
    os._exit(_status_of(job, mouth))


def _status_of(job: Job, mouth: TextIO) -> int:
    """Help with ``job``; return the exit status, after telling the leader why it failed if so."""
    try:
        _help(job)
    except WorkerLostError:
        return OTHERS_LOST
    except KilonetError as error:
        say(mouth, json.dumps(str(error)))
        return GAVE_UP
    return 0


def job_of(recipe: Recipe, device: torch.device, threads: int, *, trial: bool) -> Job:
    """Return what a helper has to know, as JSON can hold it; ``trial`` asks for a trial first."""
    return {
        "trial": trial,
        "recipe": recipe.model_dump(mode="json", exclude_none=True),
        "device": device.type,
        "threads": threads,
    }


def assist(job: Job, workers: Workers, device: torch.device) -> None:
    """Train as ``job`` says, as one of ``workers`` that does not lead; nothing is kept of it.

    The one that leads gives the images, so that all have the same, whatever is on their machines.

    Raises:
        WorkerLostError: another worker no longer answers.
        KilonetError: what else ends a training.
    """
    recipe = Recipe.model_validate(job["recipe"])
    configure(device, job["threads"], recipe.training.deterministic)
    material: Material = workers.told(None).to(device)
    network = build(recipe.model, material.shape, material.classes)
    fit = Fit(network, material, recipe, device, workers)
    if not job["trial"] or go_on_after_trial(fit):
        fit.run(lambda _: None, Silent())


def _help(job: Job) -> None:
    device = one_of_several(job["device"], job["rank"])
    place = Workers(job["rank"], job["size"])
    assist(job, meet(place, NO_HURRY, Path(job["folder"])), device)


def _load_what_comes_late() -> None:
    """Make an optimizer: the first loads as much again as PyTorch itself, and now there is time."""
    torch.optim.SGD([torch.zeros(1)])


def _end_with_the_leader(ear: TextIO, folder: str) -> None:
    """Wait for ``ear`` to close, which it does when the leading process is gone."""
    while os.read(ear.fileno(), 1024):  # below Python's locks, which would trouble its own end
        pass
    _remove(folder)
    os._exit(0)


def _remove(folder: str) -> None:
    """Remove ``folder``, into which the main thread may just be writing: a file then stays."""
    for _ in range(100):
        shutil.rmtree(folder, ignore_errors=True)
        if not Path(folder).exists():
            return
        time.sleep(0.01)


if __name__ == "__main__":
    main()
