"""An exponential moving average of the weights, which often generalises better than the last."""

from __future__ import annotations

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def averaged(model: nn.Module, decay: float) -> AveragedModel:
    """Return a copy of ``model`` that ``update_parameters`` moves towards it by 1 − ``decay``.

    Batch norm's running statistics are averaged with the weights, so that it can be evaluated as
    it is (Polyak & Juditsky 1992; PyTorch's ``swa_utils``).
    """
    return AveragedModel(
        model,
        multi_avg_fn=get_ema_multi_avg_fn(decay),  # type: ignore[no-untyped-call]
        use_buffers=True,
    )
