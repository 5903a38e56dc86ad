"""The networks that a user can name: a run, a folder, an ONNX file, a module, a fitted estimator.

``find_source`` turns any of them into a ``NetworkSource``, from which ``evaluate``, ``check``,
``robustness``, ``export`` and ``summary`` take what they need.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor, nn

from kilonet.data.specs import DataInfo
from kilonet.errors import RunError, UsageError
from kilonet.exports.huggingface.pretrained import (
    Pretrained,
    is_pretrained_folder,
    read_pretrained,
)
from kilonet.exports.onnx import export_onnx
from kilonet.files import temporary_folder
from kilonet.inference.model import SUFFIX, OnnxSession, find_model
from kilonet.metadata import FIT, INK, pack_classes, preparation_of
from kilonet.models.build import section_of
from kilonet.runs import layout
from kilonet.workflows.runs import Run, find_run, load

if TYPE_CHECKING:
    from kilonet.workflows.classifier import Classifier

    Source: TypeAlias = str | Path | Run | nn.Module | Classifier


class OnnxModule(nn.Module):
    """The network in an ONNX file, for images that are divided by 255 and not normalised."""

    def __init__(self, path: Path) -> None:
        """Load ``path``.

        Raises:
            UsageError: there is no such file.
            ModelError: it is damaged, or does not classify images.
        """
        super().__init__()
        self.session = OnnxSession(find_model(path))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, float32 N×K, for float32 images N×C×H×W from 0 to 1."""
        pixels = (images * 255).round().to(torch.uint8).cpu().contiguous().numpy()
        return torch.from_numpy(self.session.logits(pixels)).to(images.device)


@dataclass(frozen=True, eq=False)
class NetworkSource:
    """A network, and what is known about it.

    ``info`` is what the network needs to know about its images; None for a module, which is used
    with the statistics of the data set that the user names. ``run`` trained the network.
    """

    name: str
    network: nn.Module
    info: DataInfo | None = None
    run: Run | None = None
    onnx: Path | None = None

    def info_for(self, info: DataInfo) -> DataInfo:
        """Return the network's own information on images, or else ``info``."""
        return self.info if self.info is not None else info

    def pretrained(self, info: DataInfo) -> Pretrained:
        """Return the network as a model folder stores it."""
        if isinstance(self.network, OnnxModule):
            raise UsageError(
                f"{self.onnx} has no layers of PyTorch to store. Name the run that made it."
            )
        section, rebuilt = section_of(self.network, info.shape, len(info.classes))
        if self.run is not None:
            section = self.run.recipe.model
        elif not rebuilt:
            raise UsageError(
                f"{self.name} cannot be built again from its configuration: keep each argument of "
                "its constructor as an attribute of the same name (self.width = width)."
            )
        statistics = (info.mean, info.std, info.classes)
        return Pretrained(self.name, section, self.network, info.shape, *statistics)

    @contextmanager
    def onnx_file(self, info: DataInfo) -> Iterator[Path]:
        """Give the path of the network's ONNX file, which is made if there is none.

        Raises:
            RunError: the run has none; the message has the reason.
            KilonetError: the network cannot be exported to ONNX.
        """
        if self.onnx is not None:
            if not self.onnx.exists() and self.run is not None:
                why = self.run.directory.facts.get("onnx_note") or f"{self.onnx} is missing."
                raise RunError(f"{self.run.path} has no ONNX file to export from: {why}")
            yield self.onnx
            return
        properties = {"classes": pack_classes(info.classes), "preparation": info.preparation}
        with temporary_folder() as folder:
            path = Path(folder) / layout.ONNX
            export_onnx(self.network, path, info.shape, info.mean, info.std, properties)
            yield path


def find_source(
    source: Source, model: nn.Module | str | None = None, *, taker: str = "This"
) -> NetworkSource:
    """Return the network that ``source`` names.

    ``model`` is the class of the network, or an object of it, if it is the user's own. ``taker`` is
    the function that was called, for messages.

    Raises:
        UsageError: ``source`` is of another kind, or there is no such run, folder or file.
        RunError, CheckpointError: it is damaged or unfinished.
    """
    if isinstance(source, nn.Module):
        return NetworkSource(type(source).__name__, source)
    if isinstance(source, Run):
        return _of_run(source, model)
    pretrained = getattr(source, "pretrained_", None)
    if isinstance(pretrained, Pretrained):
        return _of_pretrained(pretrained)
    if not isinstance(source, str | os.PathLike):
        kind = f"the class {source.__name__}" if isinstance(source, type) else type(source).__name__
        unfitted = " before fit" if hasattr(source, "fit") else ""
        raise UsageError(
            f"{taker} was given {kind}{unfitted}. Give a run (or its name), a "
            "model that ships, a folder of save_pretrained, an ONNX file, a torch.nn.Module, or a "
            "Classifier after fit."
        )
    path = Path(source)
    if path.suffix == SUFFIX:
        return _of_onnx(path)
    if is_pretrained_folder(path):
        return _of_pretrained(read_pretrained(path, model))
    return _of_run(find_run(path if isinstance(source, os.PathLike) else source), model)


def _of_run(run: Run, model: nn.Module | str | None) -> NetworkSource:
    network = load(run, model=model)
    return NetworkSource(
        run.name, network, run.data_info, run, run.directory.checked_file(layout.ONNX)
    )


def _of_pretrained(pretrained: Pretrained) -> NetworkSource:
    preparation = preparation_of({}, pretrained.input_shape)
    return NetworkSource(
        pretrained.name,
        pretrained.network.cpu(),
        _info(
            pretrained.name,
            pretrained.input_shape,
            pretrained.classes,
            (pretrained.mean, pretrained.std),
            preparation == INK,
        ),
    )


def _of_onnx(path: Path) -> NetworkSource:
    network = OnnxModule(path)
    session, channels = network.session, network.session.shape[0]
    moments = ((0.0,) * channels, (1.0,) * channels)
    info = _info(path.stem, session.shape, session.classes, moments, session.prepares_digits)
    return NetworkSource(path.stem, network, info, onnx=path)


def _info(
    name: str,
    shape: tuple[int, int, int],
    classes: tuple[str, ...],
    moments: tuple[tuple[float, ...], tuple[float, ...]],
    ink: bool,
) -> DataInfo:
    title = f"the images of {name}"
    preparation: Any = INK if ink else FIT
    return DataInfo(name, title, shape, classes, *moments, preparation)
