"""A trained network as two files: ``config.json`` and weights. Reading them runs no code."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from kilonet.errors import CheckpointError, RecipeError
from kilonet.exports.huggingface.config import CONFIG, PretrainedConfig, config_from, read_config
from kilonet.models.build import build
from kilonet.models.custom import require_trusted
from kilonet.models.measure import count_parameters
from kilonet.recipe.families import Model
from kilonet.runs import layout
from kilonet.training.checkpoints import load_weights, pack, put_bytes, weights_of

WEIGHTS = "model.safetensors"
_PICKLED = Path("the pickled network")


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A network in evaluation mode, with what an application needs to use it.

    ``model`` is the recipe's section; ``input_shape`` is (C, H, W); ``mean`` and ``std`` are those
    of pixels divided by 255, one number a channel; ``classes`` names the class of each logit.
    ``pickle`` stores the bytes of the two files.
    """

    name: str
    model: Model
    network: nn.Module
    input_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...]

    def config(self) -> PretrainedConfig:
        """Return the content of ``config.json``."""
        ids = {str(index): name for index, name in enumerate(self.classes)}
        return PretrainedConfig(
            name=self.name,
            architectures=[type(self.network).__name__],
            model=self.model.model_dump(),
            input_shape=[*self.input_shape],
            id2label=ids,
            label2id={name: int(index) for index, name in ids.items()},
            image_mean=[*self.mean],
            image_std=[*self.std],
            num_parameters=count_parameters(self.network),
        )

    def files(self) -> dict[str, bytes]:
        """Return the content of ``config.json`` and ``model.safetensors`` by file name."""
        config = json.dumps(self.config().model_dump(), indent=1, ensure_ascii=False) + "\n"
        return {
            CONFIG: config.encode("utf-8", "backslashreplace"),
            WEIGHTS: pack(weights_of(self.network), {"format": "pt"}),
        }

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[bytes, bytes]]:
        """Return what ``pickle`` stores: the content of the two files."""
        return _unpickled, tuple(self.files().values())  # type: ignore[return-value]


def is_pretrained_folder(folder: Path) -> bool:
    """Return whether ``folder`` has one of the two files and is not a run; it may be damaged."""
    try:
        inside = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    except (OSError, ValueError):  # not a valid path
        return False
    return bool(inside & {CONFIG, WEIGHTS}) and layout.RUN not in inside


def read_pretrained(folder: Path, trusted: nn.Module | str | None = None) -> Pretrained:
    """Return the network in ``folder``, on the CPU.

    A class of the user's own is code from outside. It is imported only if the user names it, as
    ``trusted``; an object of that class gets the weights.

    Raises:
        CheckpointError: a file is missing, damaged, or not of this format or network.
        RunError: the network is a class that the user has not named.
        UsageError: the user names another class than that of this network.
    """
    path = folder / CONFIG
    config = read_config(path)
    pretrained = _untrained(config, path, trusted)
    load_weights(folder / WEIGHTS, pretrained.network)
    return pretrained


def _untrained(config: PretrainedConfig, path: Path, trusted: nn.Module | str | None) -> Pretrained:
    """Return the network that ``config`` describes, with initial weights."""
    model = config.section(path)
    channels, height, width = config.input_shape
    shape = (channels, height, width)
    if isinstance(trusted, nn.Module):
        network = trusted
    else:
        require_trusted(model, path.parent, trusted)
        try:
            network = build(model, shape, len(config.classes))
        except RecipeError as error:
            raise CheckpointError(f"{path} describes an impossible network: {error}") from error
    scale = config.rescale_factor * 255  # ``mean`` and ``std`` are of pixels divided by 255
    mean = tuple(value / scale for value in config.image_mean)
    std = tuple(value / scale for value in config.image_std)
    return Pretrained(config.name, model, network.eval(), shape, mean, std, config.classes)


def _unpickled(config: bytes, weights: bytes) -> Pretrained:
    """Return the pickled network. Whoever loads a pickle trusts it, and a class that it names."""
    content = json.loads(config)
    own = content["model"]["name"]
    pretrained = _untrained(config_from(content, _PICKLED), _PICKLED, own)
    put_bytes(pretrained.network, weights, _PICKLED)
    return pretrained
