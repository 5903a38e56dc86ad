"""Weights and training states as safetensors files.

Reading them runs no code, unlike a pickle. Files are written atomically, so that a process killed
at any moment leaves the state of one whole epoch or of the one before. Each has a checksum.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from kilonet.content import CHECKSUM_KEY, NO_CHECKSUM, is_intact, read_content, with_checksum
from kilonet.errors import CheckpointError
from kilonet.files import write_bytes

State = dict[str, Any]
Weights = dict[str, torch.Tensor]


def weights_of(model: nn.Module) -> Weights:
    """Return a copy of the model's parameters and buffers on the CPU, by name.

    A tensor that several modules share is there once, under its first name.
    """
    further = _further_names(model)
    state = {name: value for name, value in model.state_dict().items() if name not in further}
    return {name: value.detach().cpu().clone() for name, value in state.items()}


def put_weights(model: nn.Module, weights: Weights) -> None:
    """Load ``weights``, as ``weights_of`` returns them, into ``model``.

    Raises:
        RuntimeError: they belong to another network.
    """
    shared = {}
    for name, first in _further_names(model).items():
        if first not in weights:
            continue  # load_state_dict reports all missing names
        shared[name] = weights[first]
        if not torch.equal(weights.get(name, shared[name]), shared[name]):
            raise RuntimeError(f"{name} and {first} share a tensor, but differ in the weights")
    model.load_state_dict({**weights, **shared})


def _further_names(model: nn.Module) -> dict[str, str]:
    """Return the further names of shared parameters, each with the first name."""
    first: dict[int, str] = {}
    named = [(name, id(p)) for name, p in model.named_parameters(remove_duplicate=False)]
    for name, identity in named:
        first.setdefault(identity, name)
    return {name: first[identity] for name, identity in named if first[identity] != name}


def require_same_tensors(given: Any, expected: Weights, name: str) -> None:
    """Check that ``given`` has the names, shapes and types of ``expected``.

    Raises:
        ValueError: it has not; ``name`` says what it is.
    """
    if not isinstance(given, dict) or given.keys() != expected.keys():
        raise ValueError(f'"{name}" has not the tensors of this network')
    for key, value in expected.items():
        other = given[key]
        if not isinstance(value, torch.Tensor):
            continue
        if not isinstance(other, torch.Tensor) or other.shape != value.shape:
            raise ValueError(f'"{name}": {key} has another shape')
        if other.dtype != value.dtype:
            raise ValueError(f'"{name}": {key} is {other.dtype}, not {value.dtype}')


def save_weights(path: Path, weights: Weights) -> None:
    """Write ``weights`` to ``path`` atomically."""
    write_bytes(path, pack(weights))


def pack(tensors: Weights, metadata: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """Return the content of a safetensors file with ``tensors``, ``metadata`` and a checksum."""
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    return with_checksum(save(contiguous, {**metadata, CHECKSUM_KEY: NO_CHECKSUM}))


def unpack(content: bytes) -> Weights:
    """Return the tensors in the content of a safetensors file.

    Raises:
        SafetensorError, ValueError: it is damaged.
    """
    if not is_intact(content):
        raise ValueError("its checksum does not fit")
    return load(content)


def load_weights(path: Path, model: nn.Module) -> None:
    """Load the weights in the file ``path`` into ``model``.

    Raises:
        CheckpointError: the file is missing or damaged, or belongs to another network.
    """
    _put(model, read_weights(path), path)


def read_weights(path: Path) -> Weights:
    """Return the weights in the file ``path``.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    try:
        return unpack(read_content(path))
    except FileNotFoundError:
        raise CheckpointError(f"There are no weights {path}. Has the run finished?") from None
    except (OSError, SafetensorError, ValueError) as error:
        raise _damaged(path, error) from error


def put_bytes(model: nn.Module, content: bytes, path: Path) -> None:
    """Load the weights in ``content``, the bytes of the file ``path``, into ``model``.

    Raises:
        CheckpointError: they are damaged, or belong to another network.
    """
    try:
        weights = unpack(content)
    except (SafetensorError, ValueError) as error:
        raise _damaged(path, error) from error
    _put(model, weights, path)


def _put(model: nn.Module, weights: Weights, path: Path) -> None:
    try:
        _require_types(weights, model)
        put_weights(model, weights)
    except ValueError as error:
        raise _damaged(path, error) from error
    except RuntimeError as error:
        raise CheckpointError(
            f"The weights {path} do not belong to this network: {_first_line(error)}. "
            "Was the recipe or the network's code changed after training?"
        ) from None


def _require_types(weights: Weights, model: nn.Module) -> None:
    """Check what loading would convert, or accept.

    Raises:
        ValueError: a tensor has another type than that of ``model``, or values that are NaN.
    """
    expected = model.state_dict()
    for name, value in weights.items():
        if name in expected and value.dtype != expected[name].dtype:
            raise ValueError(f"{name} is {value.dtype}, not {expected[name].dtype}")
        if bool(value.isnan().any()):
            raise ValueError(f"{name} has values that are not numbers")


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"The weights {path} are damaged ({error}). Restore the file, or train again."
    )


def _first_line(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    return lines[1 if len(lines) > 1 else 0].rstrip(".")


def save_state(path: Path, state: State) -> None:
    """Write ``state`` to ``path``: nested dicts and lists of tensors and plain values.

    Keys are strings or whole numbers, and keep their type; tuples come back as lists.
    """
    tensors: dict[str, torch.Tensor] = {}
    structure = _split_tensors(state, "", tensors)
    write_bytes(path, pack(tensors, {"structure": json.dumps(structure)}))


def load_state(path: Path) -> State:
    """Return the state that ``save_state`` wrote to ``path``, its tensors on the CPU.

    Raises:
        CheckpointError: the file is missing, damaged, or not such a state.
    """
    try:
        content = read_content(path)
        tensors = unpack(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        state = _join_tensors(json.loads(header["__metadata__"]["structure"]), tensors)
    except FileNotFoundError:
        raise CheckpointError(f"There is no training state {path}; nothing to resume.") from None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"The training state {path} is damaged ({error}). Train again from the start."
        ) from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} is not a training state. Train again from the start.")
    return state


def _split_tensors(value: Any, path: str, tensors: dict[str, torch.Tensor]) -> Any:
    """Move the tensors in ``value`` to ``tensors`` and return the rest, which JSON can hold."""
    if isinstance(value, torch.Tensor):
        # Each tensor in its own memory: safetensors stores no views, and keeps no strides.
        # The number tells apart what the joined keys alone might not: "a.b" and "a", then "b".
        name = f"{len(tensors)}{path}"
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, dict):
        entries = [
            [key, _split_tensors(item, f"{path}.{key}", tensors)] for key, item in value.items()
        ]
        return {"entries": entries}
    if isinstance(value, list | tuple):
        items = [_split_tensors(item, f"{path}.{i}", tensors) for i, item in enumerate(value)]
        return {"items": items}
    return {"value": value}


def _join_tensors(node: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if "tensor" in node:
        return tensors[node["tensor"]]
    if "entries" in node:
        return {key: _join_tensors(item, tensors) for key, item in node["entries"]}
    if "items" in node:
        return [_join_tensors(item, tensors) for item in node["items"]]
    return node["value"]
