"""The trained networks that a recipe learns from."""

from __future__ import annotations

from torch import nn

from kilonet.data.describe import spec_of
from kilonet.errors import UsageError
from kilonet.recipe.schema import Recipe
from kilonet.workflows.load import load, traits_of
from kilonet.workflows.run import find_run


def teachers_of(recipe: Recipe) -> list[nn.Module]:
    """Return the networks that ``recipe`` names as its teachers, in evaluation mode on the CPU.

    Raises:
        UsageError: one does not exist, or was trained on images or classes of another kind.
        RunError, CheckpointError: one is damaged or unfinished.
    """
    return [_teacher(name, recipe) for name in recipe.training.teachers]


def _teacher(name: str, recipe: Recipe) -> nn.Module:
    theirs, ours = traits_of(find_run(name)), spec_of(recipe.data)
    if (theirs.shape, theirs.classes) != (ours.shape, ours.classes):
        raise UsageError(
            f'training.teachers: "{name}" was trained on {theirs.title}, whose images or classes '
            f"are not those of {ours.title}. Name another teacher."
        )
    return load(name)
