"""Which data a command works on, and what stands in where MNIST cannot be had."""

from __future__ import annotations

from pathlib import Path

from kilonet.data.dataset import Dataset, DatasetNotFoundError, load_dataset
from kilonet.recipe.load import Resolved

STAND_IN = "digits"


def load_or_stand_in(
    resolved: Resolved, data_dir: Path | None, progress: bool
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
        return resolved, load_dataset(name, data_dir, progress=progress), None
    except DatasetNotFoundError:
        if resolved.data_named:
            raise
    dataset = load_dataset(STAND_IN)
    note = (
        f"{name} could not be found or downloaded, so this run uses {dataset.title} instead. "
        f"To train on {name}, connect to the internet and run again, or name a folder that holds "
        "its files: --data-dir DIR or KILONET_DATA=DIR."
    )
    data = resolved.recipe.data.model_copy(update={"name": STAND_IN})
    recipe = resolved.recipe.model_copy(update={"data": data})
    return Resolved(resolved.name, recipe, resolved.data_named), dataset, note
