"""What a recipe's data is, before it is read: shape, classes, and where it is."""

from __future__ import annotations

from kilonet.data.folder import folder_path, is_folder, list_folder, short_name
from kilonet.data.registry import spec
from kilonet.data.specs import USUAL_LOOK, DatasetSpec, Look
from kilonet.recipe.schema import FOLDER, Data


def look_of(data: Data) -> Look:
    """Return what the pictures of a folder are brought to."""
    usual = USUAL_LOOK
    return Look(
        data.side if data.side is not None else usual.side,
        data.colour if data.colour is not None else usual.colour,
    )


def spec_of(data: Data) -> DatasetSpec:
    """Return what is known of a recipe's data set; of a folder, by the names in it alone.

    Raises:
        UsageError: there is no such data set or folder.
        DataError: the folder is no folder of classes.
    """
    if not is_folder(data.name):
        return spec(data.name)
    listing = list_folder(folder_path(data.name))
    tests = sum(entry.part == "test" for entry in listing.entries)
    return DatasetSpec(
        name=short_name(data.name),
        title=f"the pictures in {listing.path.name}",
        train_count=len(listing.entries) - tests,
        test_count=tests,
        mean=None,
        std=None,
        classes=listing.classes,
        licence="your own",
        homepage="",
        folder=listing.path.name,
        shape=look_of(data).shape,
        preparation="fit",
    )


def settled(data: Data) -> Data:
    """Return ``data`` as a run records it: a folder by its whole path, its look spelt out."""
    if not is_folder(data.name):
        return data
    look = look_of(data)
    name = f"{FOLDER}{folder_path(data.name)}"
    return data.model_copy(update={"name": name, "side": look.side, "colour": look.colour})
