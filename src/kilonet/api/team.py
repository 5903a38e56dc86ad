"""Who trains: this process alone, with helpers of its own, or with those that torchrun started."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import torch
from torch import nn

from kilonet.errors import UsageError
from kilonet.recipe.schema import Recipe
from kilonet.training.crew import Crew
from kilonet.training.device import one_of_several, places
from kilonet.training.fit import Fit
from kilonet.training.helper import assist, job_of
from kilonet.training.material import Material
from kilonet.training.torchrun import Launched, launched, local_rank
from kilonet.training.trial import go_on_after_trial, seconds_a_step

Team: TypeAlias = Crew | Launched
FEWEST_IMAGES = 16  # of a batch that "auto" gives one worker: below, a step is mostly overhead


def gather(recipe: Recipe, device: torch.device) -> Team:
    """Start the helpers that ``recipe`` asks for, or find those that torchrun started.

    Raises:
        UsageError: there are not as many cores or GPUs, or images in a batch; or this is a process
            that torchrun started for ``kilonet train`` to use, and not the leading one.
    """
    wanted, place = recipe.training.workers, launched()
    if place is None:
        return Crew(_size(recipe, device))
    if not place.leads:
        raise UsageError(
            "kilonet.train works in one process. Under torchrun start the command: "
            "torchrun --nproc-per-node N -m kilonet train RECIPE"
        )
    if wanted not in (1, "auto", place.size):
        raise UsageError(
            f"training.workers = {wanted}, but torchrun started {place.size} processes. "
            "Leave training.workers out."
        )
    return Launched(place)


def _size(recipe: Recipe, device: torch.device) -> int:
    wanted, batch, room = recipe.training.workers, recipe.training.batch_size, places(device)
    if wanted == "auto":
        return max(1, min(room, batch // FEWEST_IMAGES))
    if wanted > batch:
        raise UsageError(
            f"training.workers = {wanted} cannot share batches of {batch} images. "
            "Use fewer workers or larger batches."
        )
    if wanted > room:
        what = "GPUs" if device.type == "cuda" else "cores"
        raise UsageError(
            f"training.workers = {wanted}, but there are {room} {what} here; more workers than "
            f'that only wait for each other. Use at most {room}, or "auto".'
        )
    return wanted


def fit_with(
    team: Team,
    model: nn.Module,
    material: Material,
    recipe: Recipe,
    device: torch.device,
    data_dir: Path | None,
) -> Fit:
    """Return the fit of ``model`` by ``team``; its recipe says how many workers it really has.

    Where the recipe leaves the number to us the whole team has to be faster than this process
    with all threads.
    """
    automatic, threads = recipe.training.workers == "auto", torch.get_num_threads()
    alone = Fit(model, material, _with_workers(recipe, 1), device)
    if team.size == 1:
        return alone
    seconds_alone = seconds_a_step(alone) if automatic else 0.0
    recipe = _with_workers(recipe, team.size)
    each = recipe.training.threads or max(1, threads // team.size)
    torch.set_num_threads(each)
    with team.watched():
        backend = "nccl" if device.type == "cuda" else "gloo"
        workers = team.join(backend, job_of(recipe, data_dir, each, trial=automatic))
        together = Fit(model, material, recipe, device, workers)
        if not automatic or go_on_after_trial(together, seconds_alone):
            return together
    team.close()
    torch.set_num_threads(threads)
    return alone


def is_assistant() -> bool:
    """Whether torchrun started this process to help another one train."""
    place = launched()
    return place is not None and not place.leads


def assist_torchrun() -> None:
    """Be one of the processes that torchrun started and that do not lead; return when it is over.

    Raises:
        KilonetError: the training failed.
    """
    place = launched()
    assert place is not None
    with Launched(place) as team, team.watched():
        kind = "nccl" if torch.cuda.is_available() else "gloo"
        workers, job = team.joined(kind, None)
        device = one_of_several(job["recipe"]["training"]["device"], local_rank())
        assist(job, workers, device)


def _with_workers(recipe: Recipe, size: int) -> Recipe:
    training = recipe.training.model_copy(update={"workers": size})
    return recipe.model_copy(update={"training": training})
