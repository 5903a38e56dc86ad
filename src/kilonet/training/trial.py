"""Whether several workers are faster here than one: a few steps of each, and no trace of them."""

from __future__ import annotations

import copy
import math
import time
from statistics import median

import torch

from kilonet.training.failures import explained
from kilonet.training.fit import Fit
from kilonet.training.phases import Phases
from kilonet.training.seeding import generator

WARM_UP, STEPS = 5, 15


def seconds_a_step(fit: Fit) -> float:
    """Return the median time of a few steps of ``fit``, which is then as it was.

    The first of them, which allocate and choose kernels, are not counted.
    """
    before, phases = copy.deepcopy(fit.state()), fit.phases
    fit.phases = Phases(fit.device)
    fit.model.train()
    seconds = [_timed_step(fit) for _ in range(min(WARM_UP + STEPS, _steps_of_all(fit)))]
    fit.restore(before)
    fit.phases = phases
    return median(seconds[WARM_UP:] or seconds)


def _timed_step(fit: Fit) -> float:
    batch = torch.arange(min(fit.recipe.training.batch_size, len(fit.material.train)))
    began = time.perf_counter()
    with explained(1):
        fit.train_batch(batch.to(fit.device), generator(0, "trial"))
    if fit.device.type == "cuda":
        torch.cuda.synchronize(fit.device)
    return time.perf_counter() - began


def _steps_of_all(fit: Fit) -> int:
    """Return the steps of the whole training: the schedule takes no more."""
    training = fit.recipe.training
    return training.epochs * math.ceil(len(fit.material.train) / training.batch_size)


def go_on_after_trial(fit: Fit, seconds_alone: float = 0.0) -> bool:
    """Time ``fit`` with its workers and return, to each of them, whether they are to go on.

    The one that leads knows how long a step takes without the others: ``seconds_alone``.
    """
    together = seconds_a_step(fit)
    return bool(fit.workers.told(together < seconds_alone))
