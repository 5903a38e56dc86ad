"""Measure a finished run's network again, on its own test split or on another data set's."""

from __future__ import annotations

from pathlib import Path

from kilonet.data.folder import dataset_spec, is_folder
from kilonet.data.specs import DataInfo, DatasetSpec
from kilonet.errors import UsageError
from kilonet.evaluation.metrics import Metrics, measure
from kilonet.evaluation.predict import predict_probabilities
from kilonet.recipe.schema import Data
from kilonet.training.device import choose_device
from kilonet.workflows.load import data_info, load
from kilonet.workflows.material import load_again, load_shown
from kilonet.workflows.run import Run, find_run


def evaluate(
    source: str | Path | Run,
    *,
    data: str | None = None,
    data_dir: str | Path | None = None,
    device: str = "auto",
    model: str | None = None,
) -> Metrics:
    """Return the metrics of a run's network on a test split.

    ``data`` names the data set (default: the run's own); its images are normalised as the run's
    were in training. ``model`` is the run's own class where it has one.

    Raises:
        UsageError: there is no such run or data set, or the images have another shape.
        DataError, RunError, CheckpointError: something on disk is missing or damaged.
    """
    run = find_run(source)
    trained_on, folder = data_info(run), Path(data_dir) if data_dir is not None else None
    channels, side, _ = trained_on.shape
    asked = Data(name=data) if data is not None else run.recipe.data
    if data is not None and is_folder(data):
        asked = Data(name=data, side=side, colour=channels == 3)
    if data is not None:
        _check_alike(trained_on, dataset_spec(asked))
    chosen = choose_device(device)
    network = load(run, model=model).to(chosen)
    dataset = load_again(run, folder) if data is None else load_shown(asked, folder)
    probabilities = predict_probabilities(
        network, dataset.test_images, trained_on.mean, trained_on.std, device=chosen
    )
    return measure(probabilities, dataset.test_labels.numpy(), dataset.classes)


def _check_alike(trained_on: DataInfo, other: DatasetSpec) -> None:
    if (trained_on.shape, len(trained_on.classes)) != (other.shape, len(other.classes)):
        raise UsageError(
            f"The run was trained on {trained_on.title}: images {trained_on.shape}, "
            f"{len(trained_on.classes)} classes. {other.title} has images {other.shape}, "
            f"{len(other.classes)} classes. Name a data set of the same kind."
        )
