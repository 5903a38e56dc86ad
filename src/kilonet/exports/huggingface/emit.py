"""From a finished run to the files of a folder, and the folder as something that can be run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from kilonet.data.batches import normalise
from kilonet.exports.graph.interpret import Pixels
from kilonet.exports.huggingface.card import exported_card
from kilonet.exports.huggingface.pretrained import Pretrained, read_pretrained
from kilonet.recipe.describe import plain
from kilonet.runs import layout
from kilonet.runs.directory import RunDirectory

CARD = "README.md"
BATCH = 500


def pretrained_of(run: RunDirectory, network: nn.Module, name: str | None = None) -> Pretrained:
    """Return ``network``, which ``run`` trained, with what it takes to use it."""
    model, data = run.recipe().model, run.data_info()
    return Pretrained(
        name or run.name, model, network, data.shape, data.mean, data.std, data.classes
    )


def folder_files(of: Pretrained, run: RunDirectory | None) -> dict[str, bytes]:
    """Return every file of the folder by its name; of a run, its recipe too."""
    files = {**of.files(), CARD: exported_card(of, run).encode()}
    if run is not None:
        files[layout.RECIPE] = plain(run.recipe()).encode()
    return files


class FolderNetwork:
    """What is read back from ``folder``, run in PyTorch; ``trusted`` is a class of the user's own.

    Raises:
        CheckpointError: it cannot be read back.
    """

    def __init__(self, folder: Path, trusted: str | None) -> None:
        self._of = read_pretrained(folder, trusted)

    def logits(self, images: Pixels) -> npt.NDArray[np.float32]:
        """Return the logits (N, K) of uint8 images (N, C, H, W)."""
        with torch.inference_mode():
            parts = [self._run(part) for part in torch.split(torch.from_numpy(images), BATCH)]
        return torch.cat(parts).numpy()

    def one(self, image: Pixels) -> None:
        """Read one image (1, C, H, W)."""
        with torch.inference_mode():
            self._run(torch.from_numpy(image))

    def _run(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self._of.network(normalise(images, self._of.mean, self._of.std))
        return logits
