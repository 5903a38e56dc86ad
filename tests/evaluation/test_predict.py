"""Predicting: modes, batches and what a foreign model may return."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kilonet.errors import TrainingError, UsageError
from kilonet.evaluation.predict import predict_probabilities

MEAN, STD = (0.13,), (0.31,)


def images(n: int = 7) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, 1, 8, 8), dtype=torch.uint8, generator=generator)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 3)
    )


class Returns(nn.Module):
    """Returns whatever a function makes of the batch."""

    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> object:
        return self.function(x)  # type: ignore[operator]


def test_is_the_softmax_of_the_logits_of_normalised_images() -> None:
    linear = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    p = predict_probabilities(linear, images(), MEAN, STD)
    pixels = (images().numpy().reshape(7, 64) / 255.0 - MEAN[0]) / STD[0]
    weight, bias = (v.detach().numpy() for v in linear[1].parameters())
    logits = pixels @ weight.T + bias
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(p, expected, rtol=1e-4)
    assert p.dtype == np.float64 and p.shape == (7, 3)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-12)


def test_uses_evaluation_mode_and_restores_modes() -> None:
    model = network().train()
    model[1].eval()  # frozen on purpose: must stay so
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = predict_probabilities(model, images(), MEAN, STD)
    np.testing.assert_array_equal(first, predict_probabilities(model, images(), MEAN, STD))
    assert model.training and model[2].training and not model[1].training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_modes_are_restored_after_a_failure_too() -> None:
    model = network().train()
    with pytest.raises(RuntimeError):
        predict_probabilities(model, images()[:, :, :4], MEAN, STD)
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_the_batch_size_does_not_matter(batch_size: int) -> None:
    whole = predict_probabilities(network(), images(), MEAN, STD)
    parts = predict_probabilities(network(), images(), MEAN, STD, batch_size=batch_size)
    np.testing.assert_allclose(parts, whole, rtol=1e-5)


def test_log_probabilities_can_be_logits() -> None:
    model = network()
    plain = predict_probabilities(model, images(), MEAN, STD)
    logs = predict_probabilities(nn.Sequential(model, nn.LogSoftmax(1)), images(), MEAN, STD)
    np.testing.assert_allclose(logs, plain, rtol=1e-5)


def test_half_precision_logits_become_probabilities_of_double_precision() -> None:
    model = Returns(lambda x: torch.tensor([[1.0, 2.0]] * len(x), dtype=torch.bfloat16))
    p = predict_probabilities(model, images(2), MEAN, STD)
    np.testing.assert_allclose(p[0], [1 / (1 + np.e), np.e / (1 + np.e)], rtol=1e-12)


def test_diverged_weights_are_named_as_the_cause() -> None:
    model = network()
    with torch.no_grad():
        model[4].bias[1] = float("nan")
    with pytest.raises(TrainingError, match="NaN or infinite for 7 of 7 images"):
        predict_probabilities(model, images(), MEAN, STD)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda x: (x, x), "returned tuple"),
        (lambda x: x, r"returned \(7, 1, 8, 8\)"),
        (lambda x: x.flatten()[:5].reshape(1, 5), r"returned \(1, 5\)"),
    ],
)
def test_a_wrong_output_is_explained(function: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        predict_probabilities(Returns(function), images(), MEAN, STD)


def test_no_images_are_an_error() -> None:
    with pytest.raises(ValueError, match="no images"):
        predict_probabilities(network(), images(0), MEAN, STD)
