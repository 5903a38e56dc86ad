"""A trained network with all that it takes to use it, as two files that no code runs to read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import nn

from kilonet.errors import CheckpointError, RecipeError
from kilonet.exports.huggingface.config import CONFIG, Config, config_from, read_config
from kilonet.models.build import build
from kilonet.models.custom import require_trusted
from kilonet.models.measure import count_parameters
from kilonet.recipe.families import Model
from kilonet.runs import layout
from kilonet.training.checkpoints import load_weights, put_bytes, weights_of

WEIGHTS = "model.safetensors"
_PICKLED = Path("the pickled network")


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A network in evaluation mode, and what its images and its answers are.

    ``model`` is its section of the recipe; ``input_shape`` is (C, H, W); ``mean`` and ``std`` are
    those of pixels divided by 255, one number a channel; ``classes`` names each logit's class. It
    is pickled as the bytes of its two files.
    """

    name: str
    model: Model
    network: nn.Module
    input_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...]

    def config(self) -> Config:
        """Return what ``config.json`` says of it."""
        ids = {str(index): name for index, name in enumerate(self.classes)}
        return Config(
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
        """Return ``config.json`` and ``model.safetensors``."""
        config = json.dumps(self.config().model_dump(), indent=1, ensure_ascii=False) + "\n"
        weights = {name: value.contiguous() for name, value in weights_of(self.network).items()}
        return {CONFIG: config.encode(), WEIGHTS: save(weights, {"format": "pt"})}

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[bytes, bytes]]:
        """Return what ``pickle`` is to keep."""
        return _unpickled, tuple(self.files().values())  # type: ignore[return-value]


def is_folder(folder: Path) -> bool:
    """Say whether ``folder`` looks like one of these, whatever state it is in; a run does not."""
    try:
        inside = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    except (OSError, ValueError):  # a name that no folder can have
        return False
    return bool(inside & {CONFIG, WEIGHTS}) and layout.RUN not in inside


def read_pretrained(folder: Path, trusted: str | None = None) -> Pretrained:
    """Return the network in ``folder``, on the CPU.

    A class of the user's own is code from outside, and is imported only if it is ``trusted``: named
    by the user.

    Raises:
        CheckpointError: a file is missing, damaged, or not of this format or network.
        RunError: its network is a class that the user has not named.
        UsageError: the user names a class that is not this network.
    """
    path = folder / CONFIG
    config = read_config(path)
    found = _fresh(config, path, trusted)
    load_weights(folder / WEIGHTS, found.network)
    return found


def _fresh(config: Config, path: Path, trusted: str | None) -> Pretrained:
    """Return what ``config`` describes, with weights that were never trained."""
    model = config.section(path)
    require_trusted(model, path.parent, trusted)
    channels, height, width = config.input_shape
    shape = (channels, height, width)
    try:
        network = build(model, shape, len(config.classes))
    except RecipeError as error:
        raise CheckpointError(f"{path} describes a network that cannot be made: {error}") from error
    mean, std = tuple(config.image_mean), tuple(config.image_std)
    return Pretrained(config.name, model, network.eval(), shape, mean, std, config.classes)


def _unpickled(config: bytes, weights: bytes) -> Pretrained:
    """Return what was pickled. Whoever loads a pickle trusts it: it may name a class of theirs."""
    content = json.loads(config)
    own = content["model"]["name"]
    found = _fresh(config_from(content, _PICKLED), _PICKLED, own)
    put_bytes(found.network, weights, _PICKLED)
    return found
