"""The trained models that ship with the package."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from kilonet.runs import layout
from kilonet.runs.find import ShippedModel, open_run, shipped_models


@dataclass(frozen=True)
class ModelFigures:
    """What there is to know of a shipped model before using it.

    ``macs`` are multiply-accumulates an image, ``weights_bytes`` the size of the file of weights.
    ``accuracy`` is that of the weights that ship, ``accuracies`` those of all seeds of the recipe,
    fractions of the test split.
    """

    name: str
    dataset: str
    parameters: int
    macs: int
    weights_bytes: int
    accuracy: float
    accuracies: list[float]

    @property
    def mean_accuracy(self) -> float:
        """The mean over the seeds, which is what its recipe can be expected to reach."""
        return fmean(self.accuracies)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {**asdict(self), "mean_accuracy": self.mean_accuracy}


def list_models() -> list[ModelFigures]:
    """Return the models that ship, the smallest first.

    Raises:
        RunError: the installation is damaged.
    """
    return sorted(map(_figures, shipped_models()), key=lambda model: model.parameters)


def _figures(model: ShippedModel) -> ModelFigures:
    metrics = open_run(model.path).metrics()
    return ModelFigures(
        name=model.name,
        dataset=metrics["dataset"],
        parameters=metrics["parameters"],
        macs=metrics["macs"],
        weights_bytes=(model.path / layout.LAST).stat().st_size,
        accuracy=metrics["test"]["accuracy"],
        accuracies=model.accuracies,
    )
