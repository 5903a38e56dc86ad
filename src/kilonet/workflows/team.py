"""Who trains: this process alone, with helpers of its own, or with those that torchrun started."""

from __future__ import annotations

from typing import TypeAlias

import torch
import torch.distributed as dist
from torch import nn

from kilonet.errors import UsageError
from kilonet.machine import physical_cores
from kilonet.recipe.schema import Recipe
from kilonet.training.crew import Crew
from kilonet.training.device import one_of_several, places
from kilonet.training.fit import Fit
from kilonet.training.helper import assist, job_of
from kilonet.training.material import Material
from kilonet.training.torchrun import Launched, launched, local_rank
from kilonet.training.trial import go_on_after_trial, seconds_a_step
from kilonet.training.workers import FEWEST_EACH

Team: TypeAlias = Crew | Launched
FEWEST_IMAGES = 16  # of a batch that "auto" gives one worker: below, a step is mostly overhead


def gather(recipe: Recipe, device: torch.device, *, resumed: bool = False) -> Team:
    """Start the helpers that ``recipe`` asks for, or find those that torchrun started.

    A ``resumed`` training goes on with as many workers as it began with.

    Raises:
        UsageError: there are not as many cores or GPUs, or images in a batch; or this is a process
            that torchrun started for ``kilonet train`` to use, and not the leading one.
        TrainingError: the system has no room for them.
    """
    wanted, place = recipe.training.workers, launched()
    if place is None:
        size = _size(recipe, device)
        if size > 1 and dist.is_initialized():
            raise UsageError(
                "This process is at work with others already (torch.distributed is initialised). "
                "Train with workers from another process, one training at a time, or with one: "
                "training.workers=1"
            )
        return Crew(size)
    if not place.leads:
        raise UsageError(
            "kilonet.train works in one process. Under torchrun start the command: "
            "torchrun --nproc-per-node N -m kilonet train RECIPE"
        )
    if wanted not in ((place.size,) if resumed else (1, "auto", place.size)):
        raise UsageError(
            f"training.workers = {wanted}, but torchrun started {place.size} processes. "
            f"Start {wanted}" + ("." if resumed else ", or leave training.workers out.")
        )
    return Launched(place)


def _size(recipe: Recipe, device: torch.device) -> int:
    wanted, batch = recipe.training.workers, recipe.training.batch_size
    if wanted == 1:
        return 1
    if wanted == "auto":
        return max(1, min(_most_useful(recipe, device), batch // FEWEST_IMAGES))
    _require_room(wanted, device)
    if wanted * FEWEST_EACH > batch:
        raise UsageError(
            f"training.workers = {wanted} cannot share batches of {batch} images: each needs "
            f"{FEWEST_EACH} at least. Use fewer workers or larger batches."
        )
    return wanted


def _most_useful(recipe: Recipe, device: torch.device) -> int:
    if device.type == "cpu":
        return physical_cores() // (recipe.training.threads or 1)
    return places(device) if device.index is None else 1


def _require_room(wanted: int, device: torch.device) -> None:
    if device.index is not None:
        raise UsageError(
            f"training.workers = {wanted}, but {device} is a single one. Leave training.device "
            "out, and each worker gets one of its own."
        )
    room = places(device)
    if wanted > room:
        what = {"cuda": "CUDA devices", "mps": "MPS devices"}.get(device.type, "cores")
        raise UsageError(
            f"training.workers = {wanted}, but the number of {what} for them is {room}; more "
            f'workers would only wait for each other. Use at most {room}, or "auto".'
        )


def fit_with(
    team: Team,
    model: nn.Module,
    material: Material,
    recipe: Recipe,
    device: torch.device,
) -> Fit:
    """Return the fit of ``model`` by ``team``; its recipe says how many workers it really has.

    Where the recipe leaves the number to us the whole team has to be faster than this process
    with all threads. The number of threads changes with the team's: see ``same_threads_after``.
    """
    automatic, threads = recipe.training.workers == "auto", torch.get_num_threads()
    alone = Fit(model, material, _with_workers(recipe, 1), device)
    if team.size == 1:
        return alone
    seconds_alone = seconds_a_step(alone) if automatic else 0.0
    recipe = _with_workers(recipe, team.size)
    each = recipe.training.threads or team.threads_each(threads)
    torch.set_num_threads(each)
    with team.watched():
        workers = team.join(job_of(recipe, device, each, trial=automatic))
        workers.told(material.to(torch.device("cpu")))
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
    with Launched(place) as team:
        workers, job = team.joined(None)
        device = one_of_several(job["device"], local_rank())
        assist(job, workers, device)


def _with_workers(recipe: Recipe, size: int) -> Recipe:
    training = recipe.training.model_copy(update={"workers": size})
    return recipe.model_copy(update={"training": training})
