"""Networks from a recipe, a class or a run: fresh, or with the weights of the run."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from kilonet.data.folder import dataset_spec
from kilonet.data.specs import DataInfo
from kilonet.exports.huggingface.pretrained import is_pretrained_folder, read_pretrained
from kilonet.models.build import build
from kilonet.models.custom import require_trusted
from kilonet.recipe.schema import Recipe
from kilonet.runs import layout
from kilonet.runs.directory import RunDirectory
from kilonet.training.checkpoints import load_weights
from kilonet.workflows.run import Run, find_run, require_finished


def load(source: str | Path | Run, *, model: str | None = None) -> nn.Module:
    """Return the trained network of a run (the run itself, its name or its path) or of a folder.

    It is in evaluation mode, on the CPU, with the weights that the run is judged by, and takes
    normalised float32 images N×C×H×W to logits N×K. A run whose network is a class of your own
    imports that class only if you name it: ``model="module:Class"``. A folder that
    ``save_pretrained`` wrote is read likewise; what its images are normalised with is in its
    ``config.json``, and ``Classifier.from_pretrained`` heeds it.

    Raises:
        UsageError: there is no such run or folder, or ``model`` is not what its network is.
        RunError, CheckpointError: it is damaged, unfinished, or its weights do not fit.
    """
    if not isinstance(source, Run) and is_pretrained_folder(Path(source)):
        return read_pretrained(Path(source), model).network
    run = find_run(source)
    require_finished(run)
    recipe = run.recipe
    network = network_of(run.directory, recipe, trusted=model)
    load_weights(run.directory.file(judged_weights(recipe)), network)
    return network.eval()


def judged_weights(recipe: Recipe) -> str:
    """Return the name of the weights file that a run of ``recipe`` is judged by."""
    return layout.BEST if recipe.training.keep == "best" else layout.LAST


def network_for(recipe: Recipe) -> nn.Module:
    """Return a fresh network for ``recipe``, shaped for its data set, which is not loaded.

    Raises:
        UsageError: there is no such data set.
        RecipeError: the network cannot be made.
    """
    data = dataset_spec(recipe.data)
    return build(recipe.model, data.shape, len(data.classes))


def data_info(run: Run | RunDirectory) -> DataInfo:
    """Return what is known of the data that ``run`` was trained on; that is not looked for."""
    return (run.directory if isinstance(run, Run) else run).data_info()


def network_of(run: RunDirectory, recipe: Recipe, trusted: str | None) -> nn.Module:
    """Return a fresh network for ``recipe``, which was read from the folder of ``run``.

    A class that it names is code from outside, and is imported only if it is ``trusted``: named by
    the user.

    Raises:
        RunError: the run names a class that the user has not.
        UsageError: the user names a class that is not the run's network.
    """
    require_trusted(recipe.model, run.path, trusted)
    data = data_info(run)
    return build(recipe.model, data.shape, len(data.classes))
