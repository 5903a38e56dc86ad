"""A training state as one safetensors file: tensors as tensors, all else as JSON in its header.

No pickle: reading a state runs no code. The file is written atomically, so that a process killed
at any moment leaves the state of one whole epoch or of the one before.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from kilonet.errors import CheckpointError
from kilonet.files import write_bytes

State = dict[str, Any]


def save_state(path: Path, state: State) -> None:
    """Write ``state`` to ``path``: nested dicts and lists of tensors and plain values.

    Keys are strings or whole numbers, and keep their type; tuples come back as lists.
    """
    tensors: dict[str, torch.Tensor] = {}
    structure = _take_apart(state, "", tensors)
    write_bytes(path, save(tensors, {"structure": json.dumps(structure)}))


def load_state(path: Path) -> State:
    """Return the state that ``save_state`` wrote to ``path``, its tensors on the CPU.

    Raises:
        CheckpointError: the file is missing, damaged, or not such a state.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            structure = json.loads(file.metadata()["structure"])
        state = _put_together(structure, tensors)
    except FileNotFoundError:
        raise CheckpointError(f"There is no training state {path}; nothing to resume.") from None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"The training state {path} is damaged ({error}). Train again from the start."
        ) from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} is not a training state. Train again from the start.")
    return state


def _take_apart(value: Any, place: str, tensors: dict[str, torch.Tensor]) -> Any:
    """Move the tensors in ``value`` to ``tensors`` and return the rest, which JSON can hold."""
    if isinstance(value, torch.Tensor):
        # Each tensor in its own memory: safetensors stores no views, and keeps no strides.
        # The number tells apart what the joined keys alone might not: "a.b" and "a", then "b".
        name = f"{len(tensors)}{place}"
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, dict):
        entries = [
            [key, _take_apart(item, f"{place}.{key}", tensors)] for key, item in value.items()
        ]
        return {"entries": entries}
    if isinstance(value, list | tuple):
        items = [_take_apart(item, f"{place}.{i}", tensors) for i, item in enumerate(value)]
        return {"items": items}
    return {"value": value}


def _put_together(node: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if "tensor" in node:
        return tensors[node["tensor"]]
    if "entries" in node:
        return {key: _put_together(item, tensors) for key, item in node["entries"]}
    if "items" in node:
        return [_put_together(item, tensors) for item in node["items"]]
    return node["value"]
