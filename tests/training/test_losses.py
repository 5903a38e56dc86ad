"""Distillation: the loss, and that networks learn from their teachers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from scipy.special import rel_entr, softmax
from torch import Tensor, nn
from trials import fit, same, trained

from kilonet.progress import Reporter
from kilonet.recipe.schema import Training
from kilonet.training.losses import cross_entropy_loss, distillation_loss, teacher_probabilities

torch.manual_seed(0)
LOGITS, TAUGHT = torch.randn(5, 4) * 3, (torch.randn(5, 4) * 2).softmax(dim=1)


class Constant(nn.Module):
    """Answers the same logits to whatever it sees."""

    def __init__(self, logits: list[float]) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, x: Tensor) -> Tensor:
        return self.logits.expand(len(x), -1)


def test_answers_are_the_mean_of_softened_probabilities() -> None:
    first, second = [2.0, 0.0, -1.0], [0.0, 5.0, 0.0]
    found = teacher_probabilities([Constant(first), Constant(second)], torch.zeros(3, 1, 2, 2), 2.0)
    expected = (softmax([x / 2 for x in first]) + softmax([x / 2 for x in second])) / 2
    assert found.shape == (3, 3)
    torch.testing.assert_close(found[1].double(), torch.tensor(expected))
    assert not found.requires_grad


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_divergence_is_that_of_kullback_and_leibler(temperature: float) -> None:
    own = softmax((LOGITS / temperature).numpy(), axis=1)
    expected = temperature**2 * rel_entr(TAUGHT.numpy(), own).sum(axis=1).mean()
    assert float(distillation_loss(LOGITS, TAUGHT, temperature)) == pytest.approx(
        expected, rel=1e-5
    )


def test_nothing_is_left_to_learn_from_ones_own_answers() -> None:
    logits = LOGITS.clone().requires_grad_()
    taught = (LOGITS / 3).softmax(dim=1)
    loss = distillation_loss(logits, taught, 3.0)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0, abs=1e-5)
    assert logits.grad is not None
    assert float(logits.grad.abs().max()) < 1e-6


def test_without_a_share_teachers_change_nothing() -> None:
    alone = trained("training.epochs=1")
    taught = fit("training.epochs=1", "training.teacher_share=0")
    taught.data = replace(taught.data, teachers=[Constant([0.0] * 10)])
    assert same(taught.run(lambda _: None, Reporter()).last, alone.last)


def test_the_answers_are_learnt() -> None:
    """All from a teacher that always says 3, whatever the labels."""
    wise = fit("training.epochs=3", "training.teacher_share=1", "optimizer.lr=0.1")
    wise.data = replace(wise.data, teachers=[Constant([0.0] * 3 + [8.0] + [0.0] * 6)])
    wise.run(lambda _: None, Reporter())
    with torch.no_grad():
        said = wise.model.eval()(torch.randn(20, *wise.data.train.images.shape[1:]))
    assert said.argmax(dim=1).unique().tolist() == [3]


def test_class_weights_multiply_the_loss_of_each_image() -> None:
    settings = Training(epochs=1, label_smoothing=0.1)
    logits, labels = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 0, 1])
    weights = torch.tensor([0.5, 2.0, 1.0])
    smooth = torch.full((6, 3), 0.1 / 3)
    smooth[torch.arange(6), labels] += 0.9
    expected = -(smooth * weights * logits.log_softmax(1)).sum() / 6
    assert torch.allclose(cross_entropy_loss(logits, labels, settings, weights), expected)
    ones = cross_entropy_loss(logits, labels, settings, torch.ones(3))
    assert torch.allclose(ones, cross_entropy_loss(logits, labels, settings))
