"""Until when images are changed: a share of the epochs, after which they come as they are."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from trials import fit, recipe, trained

from kilonet.data.augment import Augmentation
from kilonet.errors import RecipeError
from kilonet.progress import Silent
from kilonet.training.augmenting import augmentation_in

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
    running.run(lambda _: None, Silent())
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
