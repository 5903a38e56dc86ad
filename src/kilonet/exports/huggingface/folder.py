"""The files of a Hugging Face folder: model card, configuration, weights, and the recipe."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from torch import nn

from kilonet import __version__
from kilonet.data.batches import normalise
from kilonet.data.registry import spec
from kilonet.data.specs import DIGITS
from kilonet.exports.graph.interpret import Pixels
from kilonet.exports.huggingface.pretrained import Pretrained, read_pretrained
from kilonet.models.measure import (
    count_parameters,
    peak_activation_bytes,
    running_statistics,
    total_macs,
)
from kilonet.recipe.fingerprint import to_toml
from kilonet.runs import layout
from kilonet.runs.directory import RunDirectory
from kilonet.runs.find import card_in
from kilonet.text import markdown

CARD = "README.md"
HEADER = "header.yaml.j2"
BODY = "card.md.j2"
BATCH = 500


def pretrained_of(run: RunDirectory, network: nn.Module, name: str | None = None) -> Pretrained:
    """Return ``network``, trained by ``run``, with what an application needs to use it.

    ``name`` is that of the run unless it is given.
    """
    model, data = run.recipe().model, run.data_info()
    return Pretrained(
        name or run.name, model, network, data.shape, data.mean, data.std, data.classes
    )


def folder_files(pretrained: Pretrained, run: RunDirectory | None) -> dict[str, bytes]:
    """Return the content of every file in the folder by name, with the recipe of a ``run``."""
    files = {**pretrained.files(), CARD: exported_card(pretrained, run).encode("utf-8", "replace")}
    if run is not None:
        files[layout.RECIPE] = to_toml(run.recipe()).encode()
    return files


def exported_card(pretrained: Pretrained, run: RunDirectory | None) -> str:
    """Return the ``README.md`` of an exported folder, which begins with the hub's metadata.

    ``run`` is the run that trained it; without one there are no test results.
    """
    values = {**_values(pretrained, run), "has_onnx": False}
    return _render(HEADER, values) + _render(BODY, values)


def shipped_card(pretrained: Pretrained, run: RunDirectory) -> str:
    """Return the ``README.md`` of a model in the package, which stands beside its ONNX file."""
    return _render(BODY, {**_values(pretrained, run), "has_onnx": True})


def _values(pretrained: Pretrained, run: RunDirectory | None) -> dict[str, Any]:
    network, shape = pretrained.network, pretrained.input_shape
    return {
        "name": pretrained.name,
        "version": __version__,
        "parameters": count_parameters(network),
        "running": running_statistics(network),
        "macs": total_macs(network, shape),
        "peak_activation_bytes": peak_activation_bytes(network, shape),
        "shape": "×".join(map(str, shape)),
        "mean": _numbers(pretrained.mean),
        "std": _numbers(pretrained.std),
        "classes": pretrained.classes,
        "digits": pretrained.classes == DIGITS,
        **(_run_values(run) if run is not None else _values_without_run()),
    }


def _run_values(run: RunDirectory) -> dict[str, Any]:
    recipe, card = run.recipe(), card_in(run.path)
    data, validation = run.data_info(), recipe.data.validation
    accuracies = [each.test_correct / each.test_total for each in card.seeds] if card else []
    share = f"{1 - validation:.0%} of the" if validation else "all"
    return {
        "recipe": run.facts["recipe"],
        "weights": recipe.training.weights,
        "commit": run.facts["environment"]["commit"],
        "training_data": f"{share} training images",
        "dataset": data.name,
        "data_title": data.title,
        # the licence of a user's own pictures is unknown
        "data_licence": None if data.fingerprint else spec(data.name).licence,
        "test": run.metrics()["test"],
        "card": card,
        "mean_of_seeds": fmean(accuracies) if card else None,
    }


def _values_without_run() -> dict[str, Any]:
    absent = (
        "recipe",
        "weights",
        "commit",
        "training_data",
        "dataset",
        "data_licence",
        "test",
        "card",
    )
    return {**dict.fromkeys(absent), "data_title": "images"}


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def _render(template: str, values: dict[str, Any]) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters["markdown"] = markdown
    return environment.get_template(template).render(**values)


class FolderNetwork:
    """The network in ``folder``, loaded and run in PyTorch.

    ``trusted`` is an object of the user's own class where the network is one.

    Raises:
        CheckpointError: the folder cannot be loaded.
    """

    def __init__(self, folder: Path, trusted: nn.Module | None) -> None:
        self._pretrained = read_pretrained(folder, trusted)

    def logits(self, images: Pixels) -> npt.NDArray[np.float32]:
        """Return the logits (N, K) of uint8 images (N, C, H, W)."""
        with torch.inference_mode():
            parts = [self._run(part) for part in torch.split(torch.from_numpy(images), BATCH)]
        return torch.cat(parts).numpy()

    def one(self, image: Pixels) -> None:
        """Run one image (1, C, H, W)."""
        with torch.inference_mode():
            self._run(torch.from_numpy(image))

    def _run(self, images: torch.Tensor) -> torch.Tensor:
        mean, std = self._pretrained.mean, self._pretrained.std
        logits: torch.Tensor = self._pretrained.network(normalise(images, mean, std))
        return logits
