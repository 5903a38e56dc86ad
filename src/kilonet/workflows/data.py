"""Load the data set of a recipe or a run (with a fallback), draw a sample, report on a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import torch

from kilonet.data.dataset import Dataset, DatasetNotFoundError, load_dataset
from kilonet.data.folder import data_like, dataset_spec, folder_path, image_format, is_folder
from kilonet.data.inspect_folder import FolderReport, inspect_folder
from kilonet.data.registry import spec
from kilonet.data.specs import DataInfo, DatasetSpec
from kilonet.errors import DataError, UsageError
from kilonet.models.build import check_output
from kilonet.progress import Reporter
from kilonet.recipe.load import Resolved, resolve
from kilonet.recipe.schema import MEMORY, Data
from kilonet.training.data import Split, augmentation_in, drawn_digits, mixed
from kilonet.training.seeding import generator
from kilonet.workflows.own_data import as_dataset, in_classes, name_of
from kilonet.workflows.runs import Run
from kilonet.workflows.source import NetworkSource

DataSource: TypeAlias = Any
"""What ``train`` and ``evaluate`` take as data; see ``own_data``."""
FALLBACK_DATASET = "digits"
SAMPLE_COUNT = 20


def load_or_fall_back(
    resolved: Resolved, data_dir: str | Path | None, reporter: Reporter | None = None
) -> tuple[Resolved, Dataset, str | None]:
    """Return the recipe with the data set that is used, that data set, and a note.

    If the user named no data set, and the recipe's can neither be found nor downloaded,
    scikit-learn's bundled digits replace it, and the note says so. A damaged file is an error, not
    a reason to train on something else.

    Raises:
        DataError: the data set that the user named cannot be found, or is damaged.
    """
    name = resolved.recipe.data.name
    try:
        dataset = load_recipe_data(resolved.recipe.data, data_dir, reporter)
        return resolved, dataset, dataset.note
    except DatasetNotFoundError:
        if resolved.data_named:
            raise
    dataset = load_dataset(FALLBACK_DATASET)
    title = spec(name).title
    note = (
        f"{title} could not be found or downloaded, so this run uses {dataset.title} instead. "
        f"To train on {title}, connect to the internet and run again, or name a folder that holds "
        "its files: --data-dir DIR or KILONET_DATA=DIR."
    )
    data = resolved.recipe.data.model_copy(update={"name": FALLBACK_DATASET})
    recipe = resolved.recipe.model_copy(update={"data": data})
    return replace(resolved, recipe=recipe), dataset, note


def load_recipe_data(
    data: Data, data_dir: str | Path | None, reporter: Reporter | None = None
) -> Dataset:
    """Load a recipe's data set; ``reporter`` gets the progress of a download."""
    dataset = load_dataset(data.name, data_dir, image_format=image_format(data), reporter=reporter)
    return dataset if data.normalise else dataset.unnormalised()


def load_run_data(
    run: Run,
    data_dir: str | Path | None,
    reporter: Reporter | None = None,
    data: DataSource | None = None,
) -> Dataset:
    """Load the data set that ``run`` was trained on; ``data`` is the same, given in Python.

    Raises:
        DataError: it cannot be found, is damaged, or is a folder whose content has changed.
    """
    section, trained_on = run.recipe.data, run.data_info
    if section.name.startswith(MEMORY) and data is not None:
        return _same_images(run, as_dataset(data), section)
    dataset = load_recipe_data(section, data_dir, reporter)
    if dataset.fingerprint != trained_on.fingerprint:
        raise DataError(
            f"The pictures in {folder_path(section.name)} are not those that {run.path} was "
            f"trained on: the fingerprint is now {dataset.fingerprint}; the run recorded "
            f"{trained_on.fingerprint}. "
            f"Put them back, or train again. (kilonet evaluate {run.path} --data {section.name} "
            "evaluates the run on the pictures that are there now.)"
        )
    return replace(dataset, mean=trained_on.mean, std=trained_on.std)


def _same_images(run: Run, dataset: Dataset, section: Data) -> Dataset:
    if dataset.name != section.name:
        raise DataError(
            f"These images are not those that {run.path} was trained on: their fingerprint is "
            f"{dataset.fingerprint}, that of the run {run.data_info.fingerprint}."
        )
    return dataset if section.normalise else dataset.unnormalised()


def data_for(
    source: NetworkSource,
    data: DataSource | None,
    data_dir: str | Path | None,
    reporter: Reporter | None = None,
) -> Dataset:
    """Return the data set ``data``, prepared for the network ``source``; by default its run's own.

    Raises:
        UsageError: no data set is known, or its images or classes are of another kind.
        DataError: it cannot be found, or is damaged.
    """
    if data is None:
        if source.run is None:
            raise UsageError(
                f"{source.name} does not say which data set it was trained on. Name one: "
                'data="mnist" (--data mnist).'
            )
        return load_run_data(source.run, data_dir, reporter)
    name = name_of(data)
    if name is None:
        dataset = as_dataset(data, for_test=True)
        if source.info is not None:
            dataset = in_classes(dataset, source.info.classes)
        _require_suitable(source, dataset.info)
        return dataset
    section = Data(name=name) if source.info is None else data_like(name, source.info)
    described = dataset_spec(section)
    classes = source.info.classes if source.info is not None else described.classes
    if is_folder(name) and set(described.classes) <= set(classes):
        described = replace(described, classes=classes)
    _require_suitable(source, described)
    dataset = load_recipe_data(section, data_dir, reporter)
    if dataset.note is not None and reporter is not None:
        reporter.message(f"Note: {dataset.note}")
    return in_classes(dataset, classes) if is_folder(name) else dataset


def _require_suitable(source: NetworkSource, info: DataInfo | DatasetSpec) -> None:
    if source.info is not None:
        _require_same_kind(source.name, source.info, info)
    else:
        check_output(source.network.cpu(), source.name, info.shape, len(info.classes))


def _require_same_kind(name: str, trained_on: DataInfo, other: DataInfo | DatasetSpec) -> None:
    if (trained_on.shape, len(trained_on.classes)) != (other.shape, len(other.classes)):
        raise UsageError(
            f"{name} was trained on {trained_on.title}: images {trained_on.shape}, "
            f"{len(trained_on.classes)} classes. {other.title} has images {other.shape}, "
            f"{len(other.classes)} classes. Name a data set of the same kind."
        )


def fetch(
    name: str, data_dir: str | Path | None = None, reporter: Reporter | None = None
) -> Dataset:
    """Load the data set ``name``, after downloading it if it is not on this machine.

    Raises:
        UsageError: there is no such data set.
        DataError: it cannot be downloaded, or is damaged.
    """
    return load_dataset(name, data_dir, reporter=reporter)


def report(name: str, reporter: Reporter | None = None) -> FolderReport:
    """Return the contents of a folder of pictures, and its problems.

    Raises:
        UsageError: ``name`` is not folder:PATH of an existing folder.
        DataError: it has fewer than two classes with readable pictures.
    """
    if not is_folder(name):
        raise UsageError(
            f'"{name}" is not a folder of pictures. Write folder:PATH; published data sets are '
            "verified when they are loaded."
        )
    return inspect_folder(folder_path(name), reporter)


def show_sample(
    name: str,
    path: str | Path,
    *,
    recipe: str | None = None,
    seed: int = 0,
    data_dir: str | Path | None = None,
) -> Path:
    """Write a labelled sample of the training images of ``name`` to the PNG ``path``; return it.

    With a ``recipe``, each image is shown a second time, with that recipe's augmentation; the share
    ``augmentation.handwriting`` of the images are drawn digits.

    Raises:
        UsageError: the data set or recipe is unknown, or the picture cannot be written.
        RecipeError: the recipe wants drawn digits, and the images are no digits.
    """
    from kilonet.report.image_grids import sample_grid

    resolved = resolve(recipe, [f"data.name={name}"]).recipe if recipe else None
    augment = augmentation_in(1, resolved) if resolved else None
    chosen_format = image_format(resolved.data if resolved else Data(name=name))
    dataset = load_dataset(name, data_dir, image_format=chosen_format)
    order = torch.randperm(len(dataset.train_labels), generator=generator(seed, "sample"))
    indices = order[:SAMPLE_COUNT]
    batch = Split(dataset.train_images[indices], dataset.train_labels[indices])
    drawn = drawn_digits(dataset, resolved) if resolved else None
    if resolved and drawn:
        share = resolved.augmentation.handwriting
        batch = mixed(batch, drawn, share, generator(seed, "handwriting"))
    images, labels = batch.images, batch.labels
    changed = augment(images, generator(seed, "augmentation")).numpy() if augment else None
    target = Path(path)
    try:
        sample_grid(images.numpy(), labels.numpy(), dataset.classes, target, augmented=changed)
    except OSError as error:
        raise UsageError(
            f"Cannot write {target}: {error.strerror or error}. Name another file with --out."
        ) from error
    return target
