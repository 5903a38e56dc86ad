"""The loss: cross-entropy with the labels, and distillation from trained networks.

A trained network, the teacher, gives for every image, however distorted, the similarity of all
classes, which a label does not (Hinton, Vinyals and Dean, "Distilling the knowledge in a neural
network", 2015). This costs time in training and nothing afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kilonet.recipe.schema import Training


def cross_entropy_loss(
    logits: Tensor, labels: Tensor, settings: Training, class_weights: Tensor | None = None
) -> Tensor:
    """Return the mean cross-entropy of ``logits`` (N, K) with ``labels``, int64 (N,).

    With ``class_weights`` (K,) that of each image is multiplied by the weight of its class.
    """
    smoothing = settings.label_smoothing
    if class_weights is None:
        return F.cross_entropy(logits, labels, label_smoothing=smoothing)
    total = F.cross_entropy(
        logits, labels, class_weights, label_smoothing=smoothing, reduction="sum"
    )
    return total / len(labels)


def distilled_loss(
    loss: Tensor, logits: Tensor, teacher_probabilities: Tensor, settings: Training
) -> Tensor:
    """Return ``loss``, that of the labels, mixed with that of the teachers as the recipe says."""
    share, temperature = settings.teacher_share, settings.temperature
    divergence = distillation_loss(logits, teacher_probabilities, temperature)
    return (1 - share) * loss + share * divergence


@torch.no_grad()
def teacher_probabilities(
    teachers: Sequence[nn.Module], images: Tensor, temperature: float
) -> Tensor:
    """Return the mean probabilities of the teachers, float32 (N, K), softened by ``temperature``.

    ``images`` are normalised, (N, C, H, W); the teachers are in evaluation mode.
    """
    each = [(teacher(images).float() / temperature).softmax(dim=1) for teacher in teachers]
    return torch.stack(each).mean(dim=0)


def distillation_loss(logits: Tensor, probabilities: Tensor, temperature: float) -> Tensor:
    """Return the mean Kullback-Leibler divergence of the softened ``logits`` (N, K).

    ``probabilities`` (N, K) are those of ``teacher_probabilities``. The factor of the squared
    temperature keeps the gradient as large as that of the labels' cross-entropy at any temperature
    (section 2 of the paper).
    """
    own = (logits / temperature).log_softmax(dim=1)
    return temperature**2 * F.kl_div(own, probabilities, reduction="batchmean")
