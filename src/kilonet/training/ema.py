"""An exponential moving average of the weights, which often generalises better than the last."""

from __future__ import annotations

from itertools import chain

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class Average(AveragedModel):
    """A copy of ``model``, its ``module``, that ``update`` moves towards the model by 1 − a decay.

    The decay grows with the number of updates as ``decay_after`` says. Batch norm's running
    statistics are averaged with the weights, so that the copy can be evaluated as it is
    (Polyak & Juditsky 1992); what counts, in whole numbers, is the model's.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model, use_buffers=True)
        self._decay = decay
        # Listed once: in networks this small, finding them takes longer than averaging them.
        pairs = list(zip(_tensors(self.module), _tensors(model), strict=True))
        self._moved = [pair for pair in pairs if pair[0].is_floating_point()]
        self._copied = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Take the model's present weights into the average; the first ones are the average."""
        updates = int(self.n_averaged)
        share = 1 - decay_after(updates, self._decay) if updates else 1.0
        averages, current = zip(*self._moved, strict=True)
        torch._foreach_lerp_(averages, current, share)
        for counted, now in self._copied:
            counted.copy_(now)
        self.n_averaged += 1


def _tensors(model: nn.Module) -> list[Tensor]:
    return [tensor.detach() for tensor in chain(model.parameters(), model.buffers())]


def decay_after(updates: int, decay: float) -> float:
    """Return min(decay, (1 + updates) / (10 + updates)).

    So the average forgets the random start within the first epoch instead of carrying it for
    1 / (1 − decay) steps (the rule of TensorFlow's ExponentialMovingAverage).
    """
    return min(decay, (1 + updates) / (10 + updates))
