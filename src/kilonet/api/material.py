"""Which data a command works on, and what stands in where MNIST cannot be had."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rich.console import Console

from kilonet.data.dataset import Dataset, DatasetNotFoundError, is_available, load_dataset
from kilonet.data.registry import spec
from kilonet.recipe.load import Resolved

STAND_IN = "digits"


def load_or_stand_in(
    resolved: Resolved, data_dir: Path | None, console: Console | None
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
        return resolved, load_shown(name, data_dir, console), None
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


def load_shown(name: str, data_dir: Path | None, console: Console | None) -> Dataset:
    """Load the data set ``name``; a download is announced, on a terminal with a bar."""
    if console is None:
        return load_dataset(name, data_dir)
    if not is_available(name, data_dir):
        title = spec(name).title
        console.print(f"{title} is not on this machine; downloading it.", highlight=False)
    return load_dataset(name, data_dir, progress=console.is_terminal)
