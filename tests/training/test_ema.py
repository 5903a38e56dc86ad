"""The averaged weights against an average computed by hand, batch norm's statistics included."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from kilonet.training.ema import Average


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Dropout(0.5))


def floats(model: nn.Module) -> dict[str, Tensor]:
    state = model.state_dict()
    return {name: value.clone() for name, value in state.items() if value.is_floating_point()}


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.998])
def test_average_by_hand(decay: float) -> None:
    model = network()
    ema = Average(model, decay)
    expected: dict[str, Tensor] = {}
    for step in range(12):
        model(torch.randn(4, 1, 6, 6) + step)  # moves the running statistics
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        ema.update()
        for name, value in floats(model).items():
            # The first step starts the average: there is no bias towards the initial weights.
            old = expected.get(name, value.double())
            grown = min(decay, (1 + step) / (10 + step))
            expected[name] = grown * old + (1 - grown) * value.double()
    found = floats(ema.module)
    assert {"1.running_mean", "1.running_var"} <= found.keys() == expected.keys()
    for name, value in found.items():
        torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-6)


def test_goes_on_from_its_own_count() -> None:
    """Restored, the decay goes on growing where it was."""
    model = network()
    first, second = Average(model, 0.99), Average(model, 0.99)
    for _ in range(3):
        first.update()
    second.load_state_dict(first.state_dict())
    with torch.no_grad():
        model[0].weight.fill_(1.0)
    for average in (first, second):
        average.update()
    expected = floats(first.module)
    found = floats(second.module)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_average_is_a_copy() -> None:
    model = network()
    before = floats(model)
    ema = Average(model, 0.9)
    with torch.no_grad():
        model[0].weight.zero_()
    assert torch.equal(ema.module.state_dict()["0.weight"], before["0.weight"])
