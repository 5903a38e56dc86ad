"""Robustness of a network to distortions: measured, stored with the run, plotted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from kilonet.data.dataset import Dataset
from kilonet.data.specs import DataInfo
from kilonet.data.split import stratified_split
from kilonet.errors import UsageError
from kilonet.evaluation.predict import predict_probabilities
from kilonet.evaluation.robustness import Classify, Images, Labels, Robustness, measure_robustness
from kilonet.files import write_errors, write_json
from kilonet.metadata import MNIST_SHAPE
from kilonet.models.measure import count_parameters
from kilonet.progress import Reporter, track
from kilonet.report.run_plots import robustness as plot
from kilonet.runs import find, layout
from kilonet.runs.environment import environment
from kilonet.training.device import choose_device
from kilonet.workflows.data import DataSource, data_for
from kilonet.workflows.runs import Run
from kilonet.workflows.source import find_source

if TYPE_CHECKING:
    from kilonet.workflows.source import Source

DEFAULT_IMAGES = 1000
"""How many images are distorted by default."""
_REMEDY = "Name another folder with --out."


@dataclass(frozen=True)
class RobustnessReport:
    """A robustness measurement, its settings, and the files with its figures and its plot.

    ``files`` is empty for a model that ships, unless a folder was named.
    """

    model: str
    run: Run | None
    data: DataInfo
    part: str
    """Which images: "test" or "validation"."""
    available: int
    """How many images the split has."""
    result: Robustness
    parameters: int
    device: str
    files: tuple[Path, ...] = ()

    @property
    def title(self) -> str:
        """The model, and which images were distorted."""
        kind = f"{self.data.title} {self.part} images"
        return f"{self.model}: {self.result.images:,} of {self.available:,} {kind}"

    def to_json(self) -> dict[str, Any]:
        """Return all of it with the environment, ready for ``json.dump``."""
        facts = self.run.directory.facts if self.run is not None else {}
        where = environment(self.device, torch.get_num_threads()) | {"scipy": version("scipy")}
        return {
            "model": self.model,
            "recipe": facts.get("recipe"),
            "fingerprint": facts.get("fingerprint"),
            "training_seed": self.run.recipe.training.seed if self.run is not None else None,
            "parameters": self.parameters,
            "dataset": self.data.name,
            "part": self.part,
            "available": self.available,
            **self.result.to_json(),
            "environment": where,
        }


def robustness(
    source: Source,
    *,
    data: DataSource | None = None,
    images: int | None = None,
    validation: bool = False,
    out: str | Path | None = None,
    data_dir: str | Path | None = None,
    device: str = "auto",
    model: nn.Module | str | None = None,
    reporter: Reporter | None = None,
) -> RobustnessReport:
    """Measure a network on distorted images of a test split; store figures and a plot.

    ``source`` is a run, a model that ships, a folder of ``save_pretrained``, an ONNX file, a fitted
    ``Classifier`` or a ``torch.nn.Module``; ``data`` is the data set (default: the run's own).
    ``images`` is how many, a seeded and stratified choice (default: 1,000, or all if there are
    fewer). ``validation`` uses the run's validation images instead, for decisions, which must not
    use the test split. The files go to the folder ``out`` (default: the run's directory; without a
    run of yours nothing is written). ``model`` is the run's own class, or an object of it, if its
    network is one. docs/robustness.md describes the measurement.

    Raises:
        UsageError: there is no such network, or it does not have so many images.
        DataError, RunError, CheckpointError: something on disk is missing, damaged, or cannot be
            written.
    """
    chosen = choose_device(device)
    found = find_source(source, model, taker="robustness")
    folder = _folder(found.run, out)
    if found.info is not None:
        _require_shape(found.name, found.info)
    dataset = data_for(found, data, data_dir)
    info = found.info_for(dataset.info)
    _require_shape(found.name, info)
    part = "validation" if validation else "test"
    pixels, labels = _images_of(dataset, found.run, validation)
    indices = _choose(labels, images, part)
    network = found.network.to(chosen)
    result = measure_robustness(
        _classifier(network, info, chosen),
        pixels[indices].squeeze(1).numpy(),
        labels[indices].numpy(),
        progress=lambda grid: track(grid, "distorting", len(grid), reporter or Reporter()),
    )
    parameters = count_parameters(network)
    report = RobustnessReport(
        found.name, found.run, dataset.info, part, len(labels), result, parameters, str(chosen)
    )
    return report if folder is None else _write(report, folder)


def _require_shape(name: str, info: DataInfo) -> None:
    if info.shape != MNIST_SHAPE:
        raise UsageError(
            f"{name} takes images of {'×'.join(map(str, info.shape))}, but only grey images of "
            "28×28 can be distorted. Leave out --robustness."
        )


def _classifier(network: nn.Module, info: DataInfo, device: torch.device) -> Classify:
    """Return the function that predicts the classes of images, uint8 (N, 28, 28)."""

    def classify(images: Images) -> Labels:
        batch = torch.from_numpy(images).unsqueeze(1)
        probabilities = predict_probabilities(network, batch, info.mean, info.std, device=device)
        return np.asarray(probabilities.argmax(axis=1))

    return classify


def _images_of(dataset: Dataset, run: Run | None, validation: bool) -> tuple[Tensor, Tensor]:
    """Return the images and labels of the test split, or of the run's validation split."""
    if not validation:
        return dataset.test_images, dataset.test_labels
    if run is None:
        raise UsageError("Only a run has validation images of its own. Leave out --validation.")
    recipe = run.recipe
    if not recipe.data.validation:
        raise UsageError(
            f"{run.path} held no validation images back (data.validation = 0). "
            "Leave out --validation, or train with some."
        )
    labels = dataset.train_labels
    _, held_back = stratified_split(labels, recipe.data.validation, recipe.training.seed)
    return dataset.train_images[held_back], labels[held_back]


def _choose(labels: Tensor, requested: int | None, part: str) -> Tensor:
    """Return the indices of the images to distort, a stratified choice."""
    count = min(DEFAULT_IMAGES, len(labels)) if requested is None else requested
    if not 2 <= count <= len(labels):
        raise UsageError(
            f"--images {count}: there are {len(labels):,} {part} images. Name 2 to {len(labels)}."
        )
    if count == len(labels):
        return torch.arange(count)
    return stratified_split(labels, count / len(labels), seed=0)[1]


def _folder(run: Run | None, out: str | Path | None) -> Path | None:
    """Return the folder to write to, after creating it; None unless it is a run of the user's.

    Raises:
        RunError: the folder cannot be created.
    """
    if out is None:
        return None if run is None or run.path.resolve().parent == find.SHIPPED_FOLDER else run.path
    folder = Path(out)
    with write_errors(folder, _REMEDY):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write(report: RobustnessReport, folder: Path) -> RobustnessReport:
    """Write figures and plot to ``folder``; return the report with their paths."""
    stem = layout.ROBUSTNESS if report.part == "test" else f"{layout.ROBUSTNESS}-{report.part}"
    files = (folder / f"{stem}.json", folder / f"{stem}.png")
    with write_errors(folder, _REMEDY):
        write_json(files[0], report.to_json())
        plot(report.result, files[1])
    return replace(report, files=files)
