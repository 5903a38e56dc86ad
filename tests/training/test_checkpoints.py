"""Weights and training states as files: complete, exact, and never trusted."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from kilonet.errors import CheckpointError
from kilonet.training.checkpoints import (
    load_state,
    load_weights,
    save_state,
    save_weights,
    weights_of,
)


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


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "double": Tensor.double,
    "half": Tensor.half,
    "whole numbers": Tensor.int,
    "not a number": lambda value: torch.full_like(value, torch.nan),
}


@pytest.mark.parametrize("change", CHANGES)
def test_weights_of_another_type_or_without_numbers_are_refused(
    tmp_path: Path, change: str
) -> None:
    weights = weights_of(network())
    weights["0.weight"] = CHANGES[change](weights["0.weight"])
    save_weights(tmp_path / "weights", weights)
    with pytest.raises(CheckpointError, match=r"damaged \(0\.weight"):
        load_weights(tmp_path / "weights", network())


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
    with pytest.raises(CheckpointError, match=r"1\.weight and 0\.weight share a tensor"):
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
    with pytest.raises(
        CheckpointError, match=f"not belong to this network: {reason}.*Was the recipe"
    ):
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


DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool]
INTO_A_FILE = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    shape = draw(st.lists(st.integers(0, 3), max_size=4))
    dtype = draw(st.sampled_from(DTYPES))
    tensor = torch.randn(shape).mul(100).to(dtype)
    if tensor.dim() == 4 and draw(st.booleans()):
        return tensor.to(memory_format=torch.channels_last)
    return tensor.transpose(0, -1) if tensor.dim() > 1 and draw(st.booleans()) else tensor


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
KEYS = st.text(max_size=4) | st.sampled_from(["a.b", "a", "b", "0", "__metadata__"]) | st.integers()
STATES = st.dictionaries(
    KEYS,
    st.recursive(
        PLAIN | tensors(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=10,
    ),
    max_size=4,
)


@INTO_A_FILE
@given(state=STATES)
def test_state_round_trip(state: dict[Any, Any], tmp_path: Path) -> None:
    save_state(tmp_path / "state", state)
    assert_same(load_state(tmp_path / "state"), state)


def assert_same(found: Any, expected: Any) -> None:
    assert type(found) is type(expected)
    if isinstance(expected, Tensor):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert torch.equal(found, expected)
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key, value in expected.items():
            assert_same(found[key], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for mine, theirs in zip(found, expected, strict=True):
            assert_same(mine, theirs)
    else:
        assert repr(found) == repr(expected)  # NaN, and −0.0 apart from 0.0


def test_joined_keys_do_not_collide(tmp_path: Path) -> None:
    state = {"a.b": torch.zeros(1), "a": {"b": torch.ones(1)}, 0: torch.ones(2), "0": [0.5]}
    save_state(tmp_path / "state", state)
    assert_same(load_state(tmp_path / "state"), state)


def test_tuples_come_back_as_lists_and_views_as_their_own_tensors(tmp_path: Path) -> None:
    whole = torch.arange(6.0)
    save_state(tmp_path / "state", {"betas": (0.9, 0.999), "x": whole[:3], "y": whole[1:]})
    found = load_state(tmp_path / "state")
    assert found["betas"] == [0.9, 0.999]
    assert found["x"].tolist() == [0, 1, 2]
    assert found["y"].tolist() == [1, 2, 3, 4, 5]


def test_replaces_the_old_file_in_one_step(tmp_path: Path) -> None:
    for number in range(3):
        save_state(tmp_path / "state", {"number": number})
    assert load_state(tmp_path / "state") == {"number": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


@pytest.fixture
def saved_state(tmp_path: Path) -> bytes:
    path = tmp_path / "whole"
    save_state(path, {"t": torch.arange(5.0), "rows": [{"loss": 0.5}], 1: {"x": torch.ones(2, 2)}})
    return path.read_bytes()


def test_state_truncated_anywhere(saved_state: bytes, tmp_path: Path) -> None:
    for length in range(len(saved_state)):
        refuses(saved_state[:length], tmp_path)


def refuses(content: bytes, folder: Path) -> None:
    path = folder / "damaged"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"state .*damaged|is not a training state") as info:
        load_state(path)
    assert "Train again from the start" in str(info.value)


@INTO_A_FILE
@given(data=st.data())
def test_changed_bytes_of_a_state_never_raise_anything_else(
    data: st.DataObject, saved_state: bytes, tmp_path: Path
) -> None:
    content = bytearray(saved_state)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged"
    path.write_bytes(bytes(content))
    try:
        assert isinstance(load_state(path), dict)
    except CheckpointError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize(
    "structure",
    [
        "",
        "null",
        "5",
        "[]",
        '{"value": 3}',
        '{"tensor": "absent"}',
        '{"tensor": [1]}',
        '{"entries": [[[1], {"value": 1}]]}',
        '{"entries": [1]}',
        '{"items": [{"value": 1}]}',
        '{"other": 1}',
        "[" * 100_000,
        '{"items":[' * 2000 + '{"value":1}' + "]}" * 2000,
    ],
    ids=lambda text: text[:20],
)
def test_structures_that_are_none(structure: str, saved_state: bytes, tmp_path: Path) -> None:
    refuses(
        _with_header(saved_state, lambda head: head["__metadata__"].update(structure=structure)),
        tmp_path,
    )


def test_safetensors_of_another_kind(saved_state: bytes, tmp_path: Path) -> None:
    refuses(_with_header(saved_state, lambda head: head.pop("__metadata__")), tmp_path)
    refuses(_with_header(saved_state, lambda head: head["__metadata__"].clear()), tmp_path)


def _with_header(content: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    change(header)
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + content[8 + length :]


def test_state_missing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"There is no training state .*nothing to resume"):
        load_state(tmp_path / "absent")


def test_a_folder_is_no_state(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="damaged"):
        load_state(tmp_path)
