"""What a fit learns from, decides by and is tested on: three parts that share nothing."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from trials import CPU, digits

from kilonet.data.dataset import Dataset
from kilonet.errors import RecipeError
from kilonet.training.material import Material, Part, prepare, score


def numbered(train: int = 240, test: int = 30) -> Dataset:
    """Return images that carry their own number: training from 0, test images from 10,000."""

    def images(first: int, count: int) -> Tensor:
        numbers = torch.arange(first, first + count)
        return torch.stack([numbers // 256, numbers % 256], dim=1).to(torch.uint8).view(-1, 1, 1, 2)

    return Dataset(
        name="numbered",
        title="Numbered",
        train_images=images(0, train),
        train_labels=torch.arange(train) % 10,
        test_images=images(10_000, test),
        test_labels=torch.arange(test) % 10,
        classes=tuple("0123456789"),
        mean=(0.5,),
        std=(0.25,),
        source="",
    )


def numbers(part: Part) -> list[int]:
    pixels = part.images.view(len(part), 2).long()
    return (pixels[:, 0] * 256 + pixels[:, 1]).tolist()


@pytest.mark.parametrize("validation", [0, 1 / 12, 0.5, 0.9])
@pytest.mark.parametrize("seed", [0, 1])
def test_parts_share_nothing(validation: float, seed: int) -> None:
    found = prepare(numbered(), validation, seed, CPU)
    train, held_back, test = map(numbers, (found.train, found.validation, found.test))
    assert sorted(train + held_back) == list(range(240))
    assert len(held_back) == round(240 * validation)
    assert test == list(range(10_000, 10_030))


def test_labels_go_with_their_images_and_classes_keep_their_shares() -> None:
    found = prepare(numbered(), 0.25, 3, CPU)
    for part in (found.train, found.validation):
        assert part.labels.tolist() == [number % 10 for number in numbers(part)]
        assert set(Counter(part.labels.tolist()).values()) == {len(part) // 10}


def test_seed_decides_the_split() -> None:
    first, again, other = (prepare(numbered(), 0.5, seed, CPU) for seed in (0, 0, 1))
    assert numbers(first.train) == numbers(again.train)
    assert numbers(first.train) != numbers(other.train)


@pytest.mark.parametrize(("validation", "message"), [(0.999, "0 to train on"), (0.001, "and 0 to")])
def test_a_part_without_images(validation: float, message: str) -> None:
    with pytest.raises(RecipeError, match=rf"\[data\] validation: {validation} of .*{message}"):
        prepare(numbered(), validation, 0, CPU)


def test_score_is_the_mean_cross_entropy_and_the_accuracy() -> None:
    data = prepare(digits(), 0.5, 0, CPU)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, 10))
    part = data.validation  # more than one batch
    x = (part.images.float() / 255 - data.mean[0]) / data.std[0]
    with torch.no_grad():
        logits = model.eval()(x).double()
    model.train()
    loss, accuracy = score(model, part, data, CPU)
    assert len(part) > 500
    assert loss == pytest.approx(F.cross_entropy(logits, part.labels).item(), rel=1e-6)
    assert accuracy == (logits.argmax(1) == part.labels).sum().item() / len(part)
    assert model.training


def test_score_of_a_network_that_is_sure_and_wrong_is_finite() -> None:
    class Sure(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.one_hot(torch.zeros(len(x), dtype=torch.long), 10) * 1e4

    part = Part(torch.zeros(3, 1, 2, 2, dtype=torch.uint8), torch.tensor([0, 1, 1]))
    material = Material(part, part, part, (0.0,), (1.0,))
    loss, accuracy = score(Sure(), part, material, CPU)
    assert 0 < loss < 1000
    assert accuracy == pytest.approx(1 / 3)
