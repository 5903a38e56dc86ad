"""The splits of a data set, and which epochs are augmented."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from trials import CPU, digits, fit, recipe, same, trained

from kilonet.data.augment import Augmentation
from kilonet.data.dataset import Dataset
from kilonet.errors import RecipeError
from kilonet.progress import Reporter
from kilonet.training.data import (
    Split,
    TrainingData,
    augmentation_in,
    balanced_indices,
    balanced_weights,
    drawn_digits,
    evaluate_split,
    mixed,
    split_dataset,
)


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


def numbers(part: Split) -> list[int]:
    pixels = part.images.view(len(part), 2).long()
    return (pixels[:, 0] * 256 + pixels[:, 1]).tolist()


@pytest.mark.parametrize("validation", [0, 1 / 12, 0.5, 0.9])
@pytest.mark.parametrize("seed", [0, 1])
def test_parts_share_nothing(validation: float, seed: int) -> None:
    found = split_dataset(numbered(), validation, seed, CPU)
    train, held_back, test = map(numbers, (found.train, found.validation, found.test))
    assert sorted(train + held_back) == list(range(240))
    assert len(held_back) == round(240 * validation)
    assert test == list(range(10_000, 10_030))


def test_labels_go_with_their_images_and_classes_keep_their_shares() -> None:
    found = split_dataset(numbered(), 0.25, 3, CPU)
    for part in (found.train, found.validation):
        assert part.labels.tolist() == [number % 10 for number in numbers(part)]
        assert set(Counter(part.labels.tolist()).values()) == {len(part) // 10}


def test_seed_decides_the_split() -> None:
    first, again, other = (split_dataset(numbered(), 0.5, seed, CPU) for seed in (0, 0, 1))
    assert numbers(first.train) == numbers(again.train)
    assert numbers(first.train) != numbers(other.train)


@pytest.mark.parametrize(("validation", "message"), [(0.999, "0 to train on"), (0.001, "and 0 to")])
def test_a_part_without_images(validation: float, message: str) -> None:
    with pytest.raises(RecipeError, match=rf"\[data\] validation: {validation} of .*{message}"):
        split_dataset(numbered(), validation, 0, CPU)


def test_score_is_the_mean_cross_entropy_and_the_accuracy() -> None:
    data = split_dataset(digits(), 0.5, 0, CPU)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, 10))
    part = data.validation  # more than one batch
    x = (part.images.float() / 255 - data.mean[0]) / data.std[0]
    with torch.no_grad():
        logits = model.eval()(x).double()
    model.train()
    loss, accuracy = evaluate_split(model, part, data, CPU)
    assert len(part) > 500
    assert loss == pytest.approx(F.cross_entropy(logits, part.labels).item(), rel=1e-6)
    assert accuracy == (logits.argmax(1) == part.labels).sum().item() / len(part)
    assert model.training


def test_score_of_a_network_that_is_sure_and_wrong_is_finite() -> None:
    class Sure(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.one_hot(torch.zeros(len(x), dtype=torch.long), 10) * 1e4

    part = Split(torch.zeros(3, 1, 2, 2, dtype=torch.uint8), torch.tensor([0, 1, 1]))
    training_data = TrainingData(part, part, part, (0.0,), (1.0,))
    loss, accuracy = evaluate_split(Sure(), part, training_data, CPU)
    assert 0 < loss < 1000
    assert accuracy == pytest.approx(1 / 3)


TURNED = "augmentation.rotation=30.0"


@pytest.mark.parametrize(
    ("until", "epochs", "changed"), [(1.0, 3, 3), (0.75, 4, 3), (0.5, 5, 2), (0.01, 9, 0)]
)
def test_the_first_epochs_are_those_with_changes(until: float, epochs: int, changed: int) -> None:
    chosen = recipe(TURNED, f"augmentation.until={until}", f"training.epochs={epochs}")
    found = [augmentation_in(epoch, chosen) for epoch in range(1, epochs + 1)]
    expected = [Augmentation(rotation=30.0)] * changed + [Augmentation()] * (epochs - changed)
    assert found == expected


def test_a_training_sees_changed_images_and_then_real_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Augmentation, Tensor, Tensor]] = []
    called = Augmentation.__call__

    def watched(self: Augmentation, images: Tensor, draws: torch.Generator) -> Tensor:
        result = called(self, images, draws)
        seen.append((self, images, result))
        return result

    monkeypatch.setattr(Augmentation, "__call__", watched)
    running = fit(TURNED, "augmentation.until=0.67")  # two of three epochs
    running.run(lambda _: None, Reporter())
    same = [torch.equal(before, after) for _, before, after in seen]
    third = len(seen) // 3
    assert same == [False] * (2 * third) + [True] * third


def test_it_is_the_same_training_up_to_there() -> None:
    until_the_end = trained(TURNED).history
    stopped = trained(TURNED, "augmentation.until=0.67").history
    losses = [[row["train_loss"] for row in rows] for rows in (until_the_end, stopped)]
    assert losses[0][:2] == losses[1][:2]
    assert losses[0][2] != losses[1][2]


@pytest.mark.parametrize("until", ["0", "1.5"])
def test_another_share_is_refused(until: str) -> None:
    with pytest.raises(RecipeError, match="until"):
        recipe(f"augmentation.until={until}")


DRAWN = "augmentation.handwriting=0.25"


def test_only_recipes_that_ask_for_drawn_digits_have_them() -> None:
    assert drawn_digits(digits(), recipe()) is None
    first, again, other = (
        drawn_digits(digits(), recipe(DRAWN, f"training.seed={seed}")) for seed in (0, 0, 1)
    )
    assert first and again and other
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, other.images)


@pytest.mark.parametrize(
    "changes",
    [
        {"classes": tuple("abcdefghij")},
        {"classes": tuple("012345678")},
        {"train_images": torch.zeros(4, 3, 28, 28, dtype=torch.uint8)},
        {"train_images": torch.zeros(4, 1, 32, 32, dtype=torch.uint8)},
        {"preparation": "fit"},
    ],
)
def test_drawn_digits_are_only_for_digits_like_those_of_mnist(changes: dict[str, Any]) -> None:
    other = replace(digits(), title="Others", **changes)
    with pytest.raises(RecipeError, match=r"\[augmentation\] handwriting .* Others .*Set it to 0"):
        drawn_digits(other, recipe(DRAWN))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
def test_a_share_of_a_batch_is_replaced_and_labels_go_with_images(share: float) -> None:
    labels = torch.arange(2000) % 100
    real = Split(labels.to(torch.uint8).view(-1, 1, 1, 1), labels)
    drawn = Split(real.images[:100] + 100, labels[:100] + 100)
    found = mixed(real, drawn, share, torch.Generator().manual_seed(0))
    assert torch.equal(found.images.flatten().long(), found.labels)
    replaced = found.labels >= 100
    assert torch.equal(found.labels[~replaced], labels[~replaced])
    assert replaced.float().mean().item() == pytest.approx(share, abs=0.03)
    assert share == 0 or len(set(found.labels[replaced].tolist())) > 60


def test_a_training_with_drawn_digits_learns_them_and_is_repeatable() -> None:
    first, again, without = trained(DRAWN), trained(DRAWN), trained()
    assert same(first.last, again.last)
    assert not same(first.last, without.last)


def test_balanced_weights_and_indices() -> None:
    labels = torch.tensor([0] * 90 + [2] * 10)
    weights = balanced_weights(labels, 3)
    assert weights.tolist() == pytest.approx([100 / 180, 0.0, 5.0])
    assert float(weights[labels].mean()) == pytest.approx(1.0)
    chosen = labels[balanced_indices(labels, 3, torch.Generator().manual_seed(0))]
    assert len(chosen) == 100
    assert 35 <= int((chosen == 2).sum()) <= 65
