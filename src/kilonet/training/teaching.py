"""Learning from trained networks beside the labels: distillation.

A trained network tells, for every image however distorted, how alike the classes are in it, which a
label does not (Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network", 2015).
That costs time in training and nothing afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@torch.no_grad()
def answers(teachers: Sequence[nn.Module], images: Tensor, temperature: float) -> Tensor:
    """Return the teachers' mean probabilities, float32 (N, K), softened by ``temperature``.

    ``images`` are normalised, (N, C, H, W); the teachers are in evaluation mode.
    """
    each = [(teacher(images).float() / temperature).softmax(dim=1) for teacher in teachers]
    return torch.stack(each).mean(dim=0)


def divergence(logits: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """Return the mean Kullback-Leibler divergence of the softened ``logits`` from ``taught``.

    It is multiplied by the temperature's square, which keeps its gradient as large as that of the
    labels' cross-entropy whatever the temperature (section 2 of the paper).
    """
    own = (logits / temperature).log_softmax(dim=1)
    return temperature**2 * F.kl_div(own, taught, reduction="batchmean")
