"""An exponential moving average of the weights, which often generalises better than the last."""

from __future__ import annotations

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

Tensors = tuple[Tensor, ...] | list[Tensor]


def averaged(model: nn.Module, decay: float) -> AveragedModel:
    """Return a copy of ``model`` that ``update_parameters`` moves towards it by 1 − a decay.

    The decay grows with the number of updates as ``decay_after`` says. Batch norm's running
    statistics are averaged with the weights, so that the copy can be evaluated as it is
    (Polyak & Juditsky 1992; PyTorch's ``swa_utils``).
    """

    def move(averages: Tensors, current: Tensors, updates: Tensor | int) -> None:
        # ``updates`` is a copy on the tensors' device: reading that one would make a GPU wait.
        decayed = decay_after(int(average.n_averaged), decay)
        get_ema_multi_avg_fn(decayed)(averages, current, updates)  # type: ignore[no-untyped-call]

    average = AveragedModel(model, multi_avg_fn=move, use_buffers=True)
    return average


def decay_after(updates: int, decay: float) -> float:
    """Return min(decay, (1 + updates) / (10 + updates)).

    So the average forgets the random start within the first epoch instead of carrying it for
    1 / (1 − decay) steps (the rule of TensorFlow's ExponentialMovingAverage).
    """
    return min(decay, (1 + updates) / (10 + updates))
