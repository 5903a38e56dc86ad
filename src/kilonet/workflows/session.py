"""Assemble a training. Nothing else creates a ``Fit`` for training.

    recipe -> device, kernels, precision -> network -> budget -> data, teachers -> Fit

``open_session`` does these steps in this order, for runs, estimators, range tests and benchmarks.
The network, the data set and the number of processes can be given. Under ``torchrun`` the leading
process opens a session and sends it to the other processes, which call ``follow``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kilonet.data.dataset import Dataset
from kilonet.data.folder import dataset_spec, resolved_data
from kilonet.data.specs import DataInfo
from kilonet.errors import UsageError
from kilonet.models.build import build, check_budget, check_output, section_of
from kilonet.models.measure import count_parameters
from kilonet.progress import Reporter
from kilonet.recipe.load import Resolved
from kilonet.recipe.schema import Recipe
from kilonet.training.checkpoints import State, put_weights
from kilonet.training.data import TrainingData, augmentation_in, drawn_digits, split_dataset
from kilonet.training.device import choose_compute, configure, device_of_process, threads_restored
from kilonet.training.distributed import (
    MIN_SHARE,
    SINGLE,
    ProcessGroup,
    destroy_process_group,
    init_process_group,
    launched_group,
    local_rank,
)
from kilonet.training.fit import Fit, Outcome
from kilonet.training.seeding import derive
from kilonet.training.transfer import freeze, load_matching
from kilonet.workflows.data import load_or_fall_back
from kilonet.workflows.finetune import for_images_of, starting_weights
from kilonet.workflows.runs import find_run, load, network_for


@dataclass(frozen=True)
class Session:
    """A training that is ready to start.

    ``resolved`` is the recipe with the device, kernels, precision and data set that are used;
    ``note`` says why the data set differs from the recipe's, if it does, and ``kernels_note`` why
    the compiled kernels are not used, if they cannot be. ``parameters`` is the size of the network,
    ``loaded`` names its tensors that came from ``training.weights``.
    """

    resolved: Resolved
    parameters: int
    dataset: Dataset
    note: str | None
    kernels_note: str | None
    fit: Fit
    loaded: list[str]

    @property
    def recipe(self) -> Recipe:
        """The resolved recipe."""
        return self.resolved.recipe

    def run(
        self, reporter: Reporter | None = None, save: Callable[[State], object] = lambda _: None
    ) -> Outcome:
        """Train to the end; ``save`` gets the state after each epoch.

        Raises:
            TrainingError: see ``Fit.run``.
        """
        try:
            return self.fit.run(save, reporter or Reporter())
        finally:
            destroy_process_group(self.fit.group)

    def trained_network(self, outcome: Outcome) -> nn.Module:
        """Return the network, on its device, with the weights that the recipe keeps."""
        put_weights(self.fit.model, outcome.final_weights(self.recipe))
        return self.fit.model


@contextmanager
def open_session(
    resolved: Resolved,
    *,
    network: nn.Module | None = None,
    dataset: Dataset | None = None,
    data_dir: str | Path | None = None,
    group: ProcessGroup = SINGLE,
    loaded: Iterable[str] | None = None,
    reporter: Reporter | None = None,
) -> Iterator[Session]:
    """Assemble a training as a context; on exit, restore PyTorch's number of threads.

    By default a new network is initialised. ``dataset`` is by default the recipe's, or the bundled
    digits if that cannot be found (see ``load_or_fall_back``). ``group`` are the processes that
    train together. ``loaded`` names the tensors of a resumed ``network`` that once came from
    ``training.weights``, which are then not read again. Nothing is downloaded before the network is
    within its budget.

    Raises:
        UsageError: the device, kernels, precision or teachers are not available.
        RecipeError: the network cannot be built, is over its budget, or the split is empty.
        DataError: the data set cannot be found or is damaged.
        TrainingError: the processes cannot connect.
    """
    recipe, start = resolved.recipe, None
    if recipe.training.weights is not None and loaded is None:
        start = starting_weights(recipe.training.weights)
        recipe = recipe.with_training(weights=start.name)
    if dataset is None:
        data_section = for_images_of(recipe.data, start) if start is not None else recipe.data
        recipe = recipe.model_copy(update={"data": resolved_data(data_section)})
    if network is None:
        network = fresh_network(recipe, dataset)
    if start is not None:
        info = dataset.info if dataset is not None else dataset_spec(recipe.data)
        loaded = load_matching(network, start, info)
    if recipe.training.freeze is not None:
        freeze(network, recipe.training.freeze)
    parameters = check_budget(network, recipe, resolved.name)
    compute = choose_compute(recipe, network, reporter)
    device = compute.device
    resolved = replace(resolved, recipe=compute.recipe)
    note = None
    with threads_restored():
        if dataset is None:
            resolved, dataset, note = load_or_fall_back(resolved, data_dir, reporter)
        elif not recipe.data.normalise:
            dataset = dataset.unnormalised()
        if start is not None:
            dataset = replace(dataset, mean=start.info.mean, std=start.info.std)
        recipe = resolved.recipe
        configure(device, recipe.training.threads, recipe.training.deterministic)
        data = split_dataset(dataset, recipe.data.validation, recipe.training.seed, device)
        drawn = drawn_digits(dataset, recipe)
        data = replace(data, teachers=_teachers(recipe, dataset.info), drawn=drawn).to(device)
        _check_augmentation(recipe, data)
        try:
            names = sorted(loaded or ())
            _send_to_followers(group, recipe, device, data, names)
            fit = Fit(network, data, recipe, device, group, names)
            yield Session(resolved, parameters, dataset, note, compute.note, fit, names)
        finally:
            destroy_process_group(group)


def fresh_network(recipe: Recipe, dataset: Dataset | None = None) -> nn.Module:
    """Return the network of ``recipe`` with the initial weights of its seed.

    It is made for the images of ``dataset``, by default the recipe's, which is not loaded.

    Raises:
        UsageError: there is no such data set.
        RecipeError: the network cannot be built.
    """
    seed_weights(recipe)
    if dataset is None:
        return network_for(recipe)
    shape = (dataset.channels, *dataset.image_size)
    return build(recipe.model, shape, dataset.num_classes)


def with_network(resolved: Resolved, network: nn.Module, dataset: Dataset | None) -> Resolved:
    """Return the recipe with the ``[model]`` section of ``network``, an object of the user's.

    Raises:
        RecipeError: it does not return logits for the images of the data set.
    """
    info = dataset.info if dataset is not None else dataset_spec(resolved.recipe.data)
    count_parameters(network)  # complains about layers without a size
    check_output(network, type(network).__name__, info.shape, len(info.classes))
    section, _ = section_of(network, info.shape, len(info.classes))
    return replace(resolved, recipe=resolved.recipe.model_copy(update={"model": section}))


def seed_weights(recipe: Recipe) -> None:
    """Seed PyTorch's default generator for the initial weights of ``recipe``."""
    torch.manual_seed(derive(recipe.training.seed, "weights"))


def _check_augmentation(recipe: Recipe, data: TrainingData) -> None:
    """Check that the images are large enough for the augmentation, which may only begin later.

    Raises:
        RecipeError: they are too small.
    """
    augmentation_in(1, recipe)(data.train.images[:1], torch.Generator())


def _teachers(recipe: Recipe, own: DataInfo) -> list[nn.Module]:
    """Return the networks that ``recipe`` names as its teachers, in evaluation mode on the CPU.

    Raises:
        UsageError: one does not exist, or was trained on images or classes of another kind.
        RunError, CheckpointError: one is damaged or unfinished.
    """
    return [_teacher(name, own) for name in recipe.training.teachers]


def _teacher(name: str, own: DataInfo) -> nn.Module:
    trained_on = find_run(name).data_info
    if (trained_on.shape, trained_on.classes) != (own.shape, own.classes):
        raise UsageError(
            f'training.teachers: "{name}" was trained on {trained_on.title}, whose images or '
            f"classes are not those of {own.title}. Name another teacher."
        )
    return load(name)


def training_group(recipe: Recipe, processes: int | None = None) -> ProcessGroup:
    """Return the processes that ``torchrun`` started for this training, or this process alone.

    ``processes`` is how many a resumed run was trained by; a new one can have any number.

    Raises:
        UsageError: there are more or fewer processes, or too many for the batches, or this process
            is not the leader.
    """
    group, batch = launched_group(), recipe.training.batch_size
    if not group.is_leader:
        raise UsageError(
            "kilonet.train works in one process. Under torchrun start the command: "
            "torchrun --nproc-per-node N -m kilonet train RECIPE"
        )
    if processes is not None and processes != group.size:
        remedy = "Resume it without torchrun."
        if processes > 1:
            remedy = f"Resume it with torchrun --nproc-per-node {processes} -m kilonet train ..."
        raise UsageError(
            f"Processes that trained the run: {processes}; processes that were started: "
            f"{group.size}. {remedy}"
        )
    if group.size > 1 and group.size * MIN_SHARE > batch:
        raise UsageError(
            f"{group.size} processes cannot share batches of {batch} images: each needs at least "
            f"{MIN_SHARE}. Start fewer processes, or use larger batches."
        )
    return group


def _send_to_followers(
    group: ProcessGroup,
    recipe: Recipe,
    device: torch.device,
    data: TrainingData,
    loaded: list[str],
) -> None:
    """Connect to the other processes, and send them the task and data, if there are any."""
    if group.size == 1:
        return
    init_process_group(group)
    task: dict[str, Any] = {
        "recipe": recipe.model_dump(mode="json", exclude_none=True),
        "device": device.type,
        "threads": torch.get_num_threads(),
        "loaded": loaded,
    }
    group.broadcast(task)
    group.broadcast(data.to(torch.device("cpu")))


def is_follower() -> bool:
    """Return whether ``torchrun`` started this process to train with another one, the leader."""
    return not launched_group().is_leader


def follow() -> None:
    """Train with the leader, which sends recipe and images; discard the result.

    Raises:
        WorkerLostError: another process no longer answers.
        KilonetError: the training failed.
    """
    group = launched_group()
    init_process_group(group)
    try:
        task = group.broadcast(None)
        recipe = Recipe.model_validate(task["recipe"])
        device = device_of_process(task["device"], local_rank())
        configure(device, task["threads"], recipe.training.deterministic)
        data: TrainingData = group.broadcast(None).to(device)
        network = build(recipe.model, data.shape, data.classes)
        if recipe.training.freeze is not None:
            freeze(network, recipe.training.freeze)
        fit = Fit(network, data, recipe, device, group, task["loaded"])
        fit.run(lambda _: None, Reporter())
    finally:
        destroy_process_group(group)
