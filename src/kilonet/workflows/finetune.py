"""Trained networks as the start of a training: their weights, and the recipe to go on with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kilonet.data.folder import data_like, is_folder
from kilonet.data.specs import DataInfo
from kilonet.exports.huggingface.config import CONFIG, read_config
from kilonet.exports.huggingface.pretrained import WEIGHTS, is_pretrained_folder
from kilonet.metadata import preparation_of
from kilonet.models.custom import require_trusted
from kilonet.recipe.catalog import DEFAULT_RECIPE
from kilonet.recipe.load import parse_overrides, parse_recipe, resolve
from kilonet.recipe.schema import Constraints, Data, Recipe
from kilonet.runs import find, layout
from kilonet.runs.layout import read_text
from kilonet.training.checkpoints import read_weights
from kilonet.training.transfer import StartingWeights
from kilonet.workflows.runs import Run, find_run, kept_weights

KEY = "training.weights"
LOWER = 0.1  # the learning rate to go on with, as a share of the one that the network began with


def starting_weights(name: str) -> StartingWeights:
    """Return the weights of a run, of a model that ships, or of a folder of ``save_pretrained``.

    No code of a network of the user's own is needed.

    Raises:
        UsageError: there is no such network.
        RunError, CheckpointError: it is damaged or unfinished.
    """
    folder = Path(name)
    if is_pretrained_folder(folder):
        return StartingWeights(
            str(folder.absolute()), read_weights(folder / WEIGHTS), _info_of(folder)
        )
    run = find_run(name)
    run.directory.require_finished()
    weights = read_weights(run.directory.checked_file(kept_weights(run.recipe)))
    return StartingWeights(_lasting_name(run), weights, run.data_info)


def _info_of(folder: Path) -> DataInfo:
    config = read_config(folder / CONFIG)
    channels, height, width = config.input_shape
    shape, moments = (channels, height, width), (config.image_mean, config.image_std)
    mean, std = map(tuple, moments)
    preparation: Any = preparation_of({}, shape)
    return DataInfo(config.name, config.name, shape, config.classes, mean, std, preparation)


def _lasting_name(run: Run) -> str:
    """Return a name that finds ``run`` from any folder."""
    shipped = run.path.resolve().parent == find.SHIPPED_FOLDER
    return run.name if shipped else str(run.path.absolute())


def for_images_of(data: Data, start: StartingWeights) -> Data:
    """Return ``data``; a folder's pictures in the format of ``start`` unless it names another."""
    keys = ("side", "colour", "preparation")
    if not is_folder(data.name) or any(getattr(data, key) is not None for key in keys):
        return data
    own = data_like(data.name, start.info)
    return data.model_copy(update={key: getattr(own, key) for key in keys})


def recipe_to_go_on(
    overrides: Sequence[str], *, own_network: bool = False
) -> tuple[Recipe | str, str | None]:
    """Return the recipe for a user who named none, and its name: that of ``training.weights``.

    It is the recipe that trained those weights, without teachers and constraints and with a tenth
    of the learning rate. Without such weights it is the default recipe. ``own_network``: the user
    gives the network as an object.

    Raises:
        UsageError: there is no such network.
        RunError: it is damaged, or its network is a class that the user has not named.
    """
    changes = dict(parse_overrides(overrides))
    source = changes.get(KEY)
    if not isinstance(source, str):
        return DEFAULT_RECIPE, None
    folder = Path(source)
    if is_pretrained_folder(folder):
        name, recipe = folder.name, _recipe_in(folder)
    else:
        run = find_run(source)
        name, recipe, folder = str(run.directory.facts["recipe"]), run.recipe, run.path
    if "model.name" not in changes and not own_network:
        require_trusted(recipe.model, folder, None)
    rates = {
        key: getattr(recipe.optimizer, key) * LOWER
        for key in ("lr", "adam_lr")
        if hasattr(recipe.optimizer, key)
    }
    optimizer = recipe.optimizer.model_copy(update=rates)
    recipe = recipe.model_copy(update={"optimizer": optimizer, "constraints": Constraints()})
    training = {"teachers": [], "kernels": "auto", "weights": source, "precision": "float32"}
    return recipe.with_training(**training), f"{name.removesuffix('-tuned')}-tuned"


def _recipe_in(folder: Path) -> Recipe:
    path = folder / layout.RECIPE
    if path.exists():
        return parse_recipe(read_text(path), str(path))
    model = read_config(folder / CONFIG).section(folder / CONFIG)
    return resolve(DEFAULT_RECIPE).recipe.model_copy(update={"model": model})
