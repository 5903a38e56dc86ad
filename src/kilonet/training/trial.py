"""Whether several workers are faster here than one: a few steps of each, and no trace of them."""

from __future__ import annotations

import copy
import time

import torch

from kilonet.training.failures import explained
from kilonet.training.fit import Fit
from kilonet.training.phases import Phases
from kilonet.training.seeding import generator

WARM_UP, STEPS = 2, 6


def seconds_a_step(fit: Fit) -> float:
    """Time a few steps of ``fit``, which is then as it was."""
    before, phases = copy.deepcopy(fit.state()), fit.phases
    fit.phases = Phases(fit.device)
    batch = torch.arange(min(fit.recipe.training.batch_size, len(fit.material.train)))
    fit.model.train()
    began = 0.0
    for step in range(WARM_UP + STEPS):
        if step == WARM_UP:
            began = time.perf_counter()
        with explained(1):
            fit.train_batch(batch.to(fit.device), generator(0, "trial"))
        if fit.device.type == "cuda":
            torch.cuda.synchronize(fit.device)
    seconds = (time.perf_counter() - began) / STEPS
    fit.restore(before)
    fit.phases = phases
    return seconds


def go_on_after_trial(fit: Fit, seconds_alone: float = 0.0) -> bool:
    """Time ``fit`` with its workers and return, to each of them, whether they are to go on.

    The one that leads knows how long a step takes without the others: ``seconds_alone``.
    """
    together = seconds_a_step(fit)
    return bool(fit.workers.told(together < seconds_alone))
