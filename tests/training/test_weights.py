"""Weights come back to the bit; a file that is damaged or of another network is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from kilonet.errors import CheckpointError
from kilonet.training.weights import load_weights, save_weights, weights_of


def network(width: int = 4) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(2, width, 3), nn.BatchNorm2d(width)).to(
        memory_format=torch.channels_last
    )


def test_round_trip(tmp_path: Path) -> None:
    model = network()
    model(torch.randn(3, 2, 6, 6))
    save_weights(tmp_path / "weights", weights_of(model))
    other = network()
    load_weights(tmp_path / "weights", other)
    for name, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)


def test_weights_are_a_copy() -> None:
    model = network()
    weights = weights_of(model)
    before = weights["0.weight"].clone()
    with torch.no_grad():
        model[0].weight.zero_()
    assert torch.equal(weights["0.weight"], before)
    assert not weights["0.weight"].requires_grad


def sharing() -> nn.Sequential:
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    return nn.Sequential(first, second)


def test_what_a_network_shares_is_stored_once(tmp_path: Path) -> None:
    model, other = sharing(), sharing()
    save_weights(tmp_path / "weights", weights_of(model))
    assert weights_of(model).keys() == {"0.weight", "0.bias", "1.bias"}
    load_weights(tmp_path / "weights", other)
    for name, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)


def test_weights_that_differ_are_not_shared(tmp_path: Path) -> None:
    apart = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    save_weights(tmp_path / "weights", weights_of(apart))
    with pytest.raises(CheckpointError, match=r"1\.weight and 0\.weight are the same in it"):
        load_weights(tmp_path / "weights", sharing())


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (network(5), "size mismatch for 0.weight"),
        (nn.Linear(2, 2), r'Missing key\(s\) in state_dict: "weight", "bias"'),
        (nn.Sequential(network()[0]), "Unexpected key"),
    ],
)
def test_another_network(other: nn.Module, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "weights"
    save_weights(path, weights_of(network()))
    with pytest.raises(CheckpointError, match=f"are not of this network: {reason}.*Was the recipe"):
        load_weights(path, other)


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"There are no weights .*absent"):
        load_weights(tmp_path / "absent", network())


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="are damaged"):
        load_weights(tmp_path, network())


@pytest.fixture
def saved(tmp_path: Path) -> bytes:
    path = tmp_path / "whole"
    save_weights(path, weights_of(network()))
    return path.read_bytes()


def test_truncated_anywhere(saved: bytes, tmp_path: Path) -> None:
    path, model = tmp_path / "weights", network()
    for length in range(0, len(saved), 3):
        path.write_bytes(saved[:length])
        with pytest.raises(CheckpointError, match=r"are damaged .*Restore the file"):
            load_weights(path, model)


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_changed_bytes_never_raise_anything_else(
    data: st.DataObject, saved: bytes, tmp_path: Path
) -> None:
    path, model = tmp_path / "weights", network()
    content = bytearray(saved)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    try:
        load_weights(path, model)
    except CheckpointError as error:
        assert str(path) in str(error)
