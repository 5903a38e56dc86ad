"""Networks from a recipe, a class or a run: fresh, or with the weights of the run."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from kilonet.api.run import Run, find_run
from kilonet.data.dataset import Dataset
from kilonet.data.registry import spec
from kilonet.errors import RunError
from kilonet.models.build import build
from kilonet.recipe.families import Custom
from kilonet.recipe.schema import Recipe
from kilonet.runs import layout
from kilonet.runs.directory import RunDirectory
from kilonet.training.weights import load_weights


def load(source: str | Path | Run, *, model: str | None = None) -> nn.Module:
    """Return the trained network of a run (the run itself, its name or its path).

    It is in evaluation mode, on the CPU, with the weights that the run is judged by, and takes
    normalised float32 images N×C×H×W to logits N×K. A run whose network is a class of your own
    imports that class only if you name it: ``model="module:Class"``.

    Raises:
        UsageError: there is no such run.
        RunError, CheckpointError: it is damaged, unfinished, or its weights do not fit.
    """
    run = find_run(source).directory
    recipe = run.recipe()
    network = network_for(recipe, None, run, trusted=model)
    load_weights(run.file(judged_weights(recipe)), network)
    return network.eval()


def judged_weights(recipe: Recipe) -> str:
    """Return the name of the weights file that a run of ``recipe`` is judged by."""
    return layout.BEST if recipe.training.keep == "best" else layout.LAST


def network_for(
    recipe: Recipe,
    dataset: Dataset | None,
    run: RunDirectory | None = None,
    trusted: str | None = None,
) -> nn.Module:
    """Return a fresh network for ``recipe``, shaped for ``dataset`` (default: the recipe's own).

    With a ``run``, the recipe was read from its folder: a class that it names is code from outside,
    and is imported only if it is ``trusted``, named by the user.

    Raises:
        RunError: the run names a class that the user has not.
    """
    if run is not None and isinstance(recipe.model, Custom) and recipe.model.name != trusted:
        raise RunError(
            f"The network of {run.path} is the class {recipe.model.name}, which is code outside "
            "the run. A folder alone never makes Kilonet import code: name the class yourself, "
            f"--model {recipe.model.name}"
        )
    if dataset is not None:
        shape = (dataset.channels, *dataset.image_size)
        return build(recipe.model, shape, dataset.num_classes)
    return build(recipe.model, num_classes=len(spec(recipe.data.name).classes))
