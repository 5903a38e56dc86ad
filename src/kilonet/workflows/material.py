"""Which data a command works on, and what stands in where MNIST cannot be had."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from kilonet.data.dataset import Dataset, DatasetNotFoundError, load_dataset
from kilonet.data.folder import folder_path, image_format
from kilonet.data.registry import spec
from kilonet.errors import DataError
from kilonet.progress import Reporter
from kilonet.recipe.load import Resolved
from kilonet.recipe.schema import Data
from kilonet.workflows.load import data_info
from kilonet.workflows.run import Run

STAND_IN = "digits"


def load_or_stand_in(
    resolved: Resolved, data_dir: Path | None, reporter: Reporter | None = None
) -> tuple[Resolved, Dataset, str | None]:
    """Return the recipe with the data set really used, that data set, and a note if it differs.

    Where the user named no data set and the recipe's can neither be found nor downloaded,
    scikit-learn's bundled digits stand in, and the note says so. A damaged file is an error, not
    a reason to train on something else.

    Raises:
        DataError: the data set that was asked for cannot be had, or is damaged.
    """
    name = resolved.recipe.data.name
    try:
        dataset = load_shown(resolved.recipe.data, data_dir, reporter)
        return resolved, dataset, dataset.note
    except DatasetNotFoundError:
        if resolved.data_named:
            raise
    dataset = load_dataset(STAND_IN)
    title = spec(name).title
    note = (
        f"{title} could not be found or downloaded, so this run uses {dataset.title} instead. "
        f"To train on {title}, connect to the internet and run again, or name a folder that holds "
        "its files: --data-dir DIR or KILONET_DATA=DIR."
    )
    data = resolved.recipe.data.model_copy(update={"name": STAND_IN})
    recipe = resolved.recipe.model_copy(update={"data": data})
    return replace(resolved, recipe=recipe), dataset, note


def load_shown(data: Data, data_dir: Path | None, reporter: Reporter | None = None) -> Dataset:
    """Load a recipe's data set; ``reporter`` gets the progress of a download."""
    dataset = load_dataset(data.name, data_dir, image_format=image_format(data), reporter=reporter)
    return dataset if data.normalise else dataset.unnormalised()


def load_again(run: Run, data_dir: Path | None, reporter: Reporter | None = None) -> Dataset:
    """Load the data set that ``run`` was trained on.

    Raises:
        DataError: it cannot be had, is damaged, or is a folder whose content is another now.
    """
    data, trained_on = run.recipe.data, data_info(run)
    dataset = load_shown(data, data_dir, reporter)
    if dataset.fingerprint != trained_on.fingerprint:
        raise DataError(
            f"The pictures in {folder_path(data.name)} are not those that {run.path} was trained "
            f"on: their fingerprint is {dataset.fingerprint}, and was {trained_on.fingerprint}. "
            f"Put them back, or train anew. (kilonet evaluate {run.path} --data {data.name} "
            "measures on what is there now.)"
        )
    return dataset
