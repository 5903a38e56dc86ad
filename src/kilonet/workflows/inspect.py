"""Networks before they are used: the layer table of any, and the models that ship."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from kilonet.errors import UsageError, nearest
from kilonet.recipe.catalog import SUFFIX, recipe_names
from kilonet.recipe.load import resolve
from kilonet.runs import layout
from kilonet.runs.find import ShippedModel, is_run, open_run, shipped_models
from kilonet.workflows.runs import Run, find_run, list_runs, network_for, network_of

if TYPE_CHECKING:
    from torch import nn

MNIST_SHAPE = (1, 28, 28)


def summary(source: str | Path | Run, *, model: str | None = None) -> str:
    """Return the layer table of ``source``: a recipe, a run, or ``module:Class``.

    ``model`` is the own class of a run or a recipe file, if its network is one.

    Raises:
        UsageError, RecipeError, RunError: there is no such thing, or it is wrong.
    """
    from kilonet.models.summary import summary_text

    return summary_text(*_network(source, model))


def _network(
    source: str | Path | Run, trusted: str | None
) -> tuple[nn.Module, tuple[int, int, int], str]:
    """Return the network of ``source``, the (C, H, W) of its images, and its title."""
    from kilonet.data.folder import dataset_spec
    from kilonet.models.custom import instantiate, load_class, require_trusted

    if isinstance(source, Run) or is_run(source):
        run = find_run(source)
        recipe = run.recipe
        return network_of(run.directory, recipe, trusted), run.data_info.shape, run.name
    if trusted is not None and not str(source).endswith(SUFFIX):
        raise UsageError(
            f"--model names the class of a run or of a recipe file; {source} is none. Leave it out."
        )
    if ":" in str(source) and not str(source).endswith(SUFFIX):
        return instantiate(load_class(str(source)), {}), MNIST_SHAPE, str(source)
    recipe = resolve(_recipe_name(str(source)), trusted=trusted).recipe
    if trusted is not None:
        require_trusted(recipe.model, Path(source), trusted)
    return network_for(recipe), dataset_spec(recipe.data).shape, str(source)


def _recipe_name(source: str) -> str:
    """Return ``source`` if it can be a recipe.

    Raises:
        UsageError: there is neither a recipe nor a run of that name.
    """
    recipes = recipe_names()
    if source in recipes or source.endswith(SUFFIX):
        return source
    names = [*recipes, *(run.name for run in list_runs())]
    raise UsageError(
        f'There is no recipe and no run "{source}".{nearest(source, names)} "kilonet recipes" and '
        '"kilonet runs" list them; a class of your own is written module:Class.'
    )


@dataclass(frozen=True)
class ModelFigures:
    """The properties of a shipped model.

    ``macs`` are multiply-accumulates per image, ``weights_bytes`` the size of the weights file.
    ``accuracy`` is that of the weights that ship, ``accuracies`` those of all seeds of the recipe,
    as fractions of the test split.
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
        """Return the same as plain values."""
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
