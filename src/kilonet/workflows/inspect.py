"""Networks before they are used: the layer table of any, and the models that ship."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from kilonet.errors import UsageError, nearest
from kilonet.recipe.catalog import SUFFIX, recipe_names
from kilonet.recipe.keys import as_overrides
from kilonet.recipe.load import resolve
from kilonet.recipe.schema import Recipe
from kilonet.runs import layout
from kilonet.runs.find import ShippedModel, is_run, open_run, shipped_models
from kilonet.workflows.runs import Run, find_run, list_runs, network_for, network_of

if TYPE_CHECKING:
    from torch import nn

    from kilonet.workflows.source import Source

MNIST_SHAPE = (1, 28, 28)


def summary(
    source: Source | Recipe,
    *,
    model: nn.Module | str | None = None,
    input_shape: tuple[int, int, int] | None = None,
) -> str:
    """Return the layer table of ``source``.

    ``source`` is a recipe, a run, a folder of ``save_pretrained``, ``module:Class``, a fitted
    ``Classifier`` or a ``torch.nn.Module``. ``model`` is the own class of a run or a recipe file,
    if its network is one. ``input_shape`` is (C, H, W) of the images of a module (default: its
    attribute of this name, or 1×28×28).

    Raises:
        UsageError, RecipeError, RunError: there is no such thing, or it is wrong.
    """
    from kilonet.models.summary import summary_text

    network, shape, title = _network(source, model)
    return summary_text(network, input_shape or shape, title)


def model(source: str | Path | Run | Recipe, **keywords: Any) -> nn.Module:
    """Return the untrained network of a recipe, of a run or of a model that ships.

    ``source`` is a recipe's name, a ``.toml`` path, a ``Recipe``, or a run. Keywords such as
    ``seed=1`` or ``data_name="cifar10"`` change keys of a recipe. The weights are those that
    ``train`` starts from with the same seed. ``load`` returns trained networks.

    Raises:
        UsageError, RecipeError, RunError: there is no such recipe or run, or it is wrong.
    """
    import torch

    from kilonet.workflows.session import seed_weights

    with torch.random.fork_rng(devices=[]):
        if isinstance(source, Run) or (isinstance(source, str | Path) and is_run(source)):
            run = find_run(source)
            seed_weights(run.recipe)
            return network_of(run.directory, run.recipe, None)
        if not isinstance(source, Recipe):
            source = _recipe_name(str(source))
        recipe = resolve(source, as_overrides(keywords)).recipe
        seed_weights(recipe)
        return network_for(recipe)


def _network(
    source: Source | Recipe, trusted: nn.Module | str | None
) -> tuple[nn.Module, tuple[int, int, int], str]:
    """Return the network of ``source``, the (C, H, W) of its images, and its title."""
    from kilonet.data.folder import dataset_spec
    from kilonet.models.custom import instantiate, load_class, require_trusted

    if isinstance(source, Recipe):
        return network_for(source), dataset_spec(source.data).shape, source.title or "recipe"
    if isinstance(source, Run) or (isinstance(source, str | Path) and is_run(source)):
        run = find_run(source)
        recipe = run.recipe
        return network_of(run.directory, recipe, trusted), run.data_info.shape, run.name
    if not isinstance(source, str | Path) or _is_file_or_folder(Path(source)):
        return _found(source, trusted)
    if trusted is not None and not str(source).endswith(SUFFIX):
        raise UsageError(
            f"--model names the class of a run or of a recipe file; {source} is none. Leave it out."
        )
    if ":" in str(source) and not str(source).endswith(SUFFIX):
        return instantiate(load_class(str(source)), {}), MNIST_SHAPE, str(source)
    name = trusted if isinstance(trusted, str) else None
    recipe = resolve(_recipe_name(str(source)), trusted=name).recipe
    if name is not None:
        require_trusted(recipe.model, Path(source), name)
    return network_for(recipe), dataset_spec(recipe.data).shape, str(source)


def _is_file_or_folder(path: Path) -> bool:
    """Return whether ``path`` is an ONNX file or a folder of ``save_pretrained``."""
    from kilonet.exports.huggingface.pretrained import is_pretrained_folder
    from kilonet.inference.model import SUFFIX as ONNX

    return path.suffix == ONNX or is_pretrained_folder(path)


def _found(
    source: Source, trusted: nn.Module | str | None
) -> tuple[nn.Module, tuple[int, int, int], str]:
    from kilonet.workflows.source import OnnxModule, find_source

    found = find_source(source, trusted, taker="summary")
    if isinstance(found.network, OnnxModule):
        raise UsageError(
            f"{found.onnx} has no layers of PyTorch to list: they are merged in it. Name the run, "
            "or the torch.nn.Module, that it was exported from."
        )
    own = getattr(found.network, "input_shape", MNIST_SHAPE)
    return found.network, found.info.shape if found.info is not None else own, found.name


def _recipe_name(source: str) -> str:
    """Return ``source`` if it can be a recipe."""
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
