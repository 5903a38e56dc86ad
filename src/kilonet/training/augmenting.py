"""Which random changes an epoch shows the training images with."""

from __future__ import annotations

from kilonet.data.augment import Augmentation
from kilonet.recipe.schema import Recipe


def augmentation_in(epoch: int, recipe: Recipe) -> Augmentation:
    """Return what ``epoch``, counted from 1, does to the training images of ``recipe``.

    After ``augmentation.until`` of the epochs they come as they are. Changed images are not quite
    those that the network is for; what it has learned from their variety stays when it ends on the
    real ones (He et al., "Data augmentation revisited", 2019). A network too small to learn all of
    the changed ones gains most.
    """
    settings = recipe.augmentation.model_dump()
    until = settings.pop("until")
    is_over = epoch > round(until * recipe.training.epochs)
    return Augmentation() if is_over else Augmentation(**settings)
