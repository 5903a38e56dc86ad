"""Predict the class probabilities of many images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from kilonet.data.batches import normalise
from kilonet.errors import TrainingError, UsageError
from kilonet.models.measure import evaluation_mode


@torch.no_grad()
def predict_probabilities(
    model: nn.Module,
    images: Tensor,
    mean: Sequence[float],
    std: Sequence[float],
    batch_size: int = 1000,
    device: str | torch.device = "cpu",
) -> npt.NDArray[np.float64]:
    """Return the softmax of the model's logits as a float64 array (N, K), rows summing to 1.

    ``images`` is uint8, (N, C, H, W), on any device, and is normalised with ``mean`` and ``std``,
    one number per channel. The model must already be on ``device``. It runs in evaluation mode, and
    every module's mode is restored afterwards. The model may return log-probabilities instead of
    logits: softmax reverses the logarithm.

    Raises UsageError if the model's output is not (N, K), TrainingError if it is NaN or infinite,
    and ValueError if there are no images.
    """
    if not len(images):
        raise ValueError("there are no images to predict")
    with evaluation_mode(model):
        outputs = [
            _logits(model, normalise(batch.to(device), mean, std))
            for batch in torch.split(images, batch_size)
        ]
    # Softmax in double precision on the CPU: MPS has no float64.
    logits = torch.cat(outputs).float().cpu().double()
    _check_finite(logits)
    probabilities: npt.NDArray[np.float64] = logits.softmax(dim=1).numpy()
    return probabilities


def _logits(model: nn.Module, batch: Tensor) -> Tensor:
    output: object = model(batch)
    if not isinstance(output, Tensor) or output.ndim != 2 or len(output) != len(batch):
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise UsageError(
            f"{type(model).__name__} returned {shape} for {len(batch)} images; expected a tensor "
            f"of logits ({len(batch)}, classes). Change its forward() to return that."
        )
    return output


def _check_finite(logits: Tensor) -> None:
    bad = int((~logits.isfinite()).any(dim=1).sum())
    if bad:
        raise TrainingError(
            f"The network's outputs are NaN or infinite for {bad} of {len(logits)} images. "
            "Its weights have diverged: train with a lower learning rate, "
            "or use an earlier checkpoint."
        )
