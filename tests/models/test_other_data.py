"""Every shipped recipe's network, on images and classes other than MNIST's."""

from __future__ import annotations

import pytest
import torch

from kilonet.models.build import build
from kilonet.recipe.catalog import recipe_names
from kilonet.recipe.load import resolve
from kilonet.training.data import augmentation_in


@pytest.mark.parametrize(("shape", "classes"), [((3, 32, 32), 10), ((1, 28, 28), 47)])
@pytest.mark.parametrize("name", recipe_names())
def test_builds_and_reads(name: str, shape: tuple[int, int, int], classes: int) -> None:
    recipe = resolve(name).recipe
    images = torch.randint(0, 256, (2, *shape), dtype=torch.uint8)
    changed = augmentation_in(1, recipe)(images, torch.Generator().manual_seed(0))
    assert changed.shape == images.shape
    network = build(recipe.model, shape, classes).eval()
    with torch.inference_mode():
        assert network(changed.float()).shape == (2, classes)
