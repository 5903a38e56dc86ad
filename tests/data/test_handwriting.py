"""Drawn digits: they are in MNIST's format, legible, varied, and the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import kilonet
from kilonet.data.handwriting import DIGITS, STYLES, handwritten_digits
from kilonet.evaluation.predict import predict_probabilities
from kilonet.preprocessing.prepare import as_mnist_image
from kilonet.workflows.runs import find_run

COUNT = 1000
STYLED = [line.partition(": ")[0] for line in STYLES.strip().splitlines()]  # digits


def drawn(seed: int = 0, count: int = COUNT) -> tuple[Tensor, Tensor]:
    return handwritten_digits(count, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("count", [1, 9, 60, 1003])
def test_as_many_as_were_asked_for_of_every_style(count: int) -> None:
    images, labels = drawn(count=count)
    assert images.shape == (count, 1, 28, 28)
    assert images.dtype == torch.uint8
    counts = torch.bincount(labels, minlength=len(DIGITS))
    assert counts.sum() == count
    for digit, of_digit in enumerate(counts.tolist()):
        exact = count * STYLED.count(str(digit)) / len(STYLED)
        assert of_digit == pytest.approx(exact, abs=STYLED.count(str(digit)))


def test_a_seed_gives_the_same_digits_and_another_seed_others() -> None:
    first, again, other = drawn(), drawn(), drawn(1)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert (first[0] == other[0]).flatten(1).all(dim=1).sum() == 0


def test_they_pass_for_prepared_images() -> None:
    images = drawn()[0].squeeze(1).numpy()
    found = [as_mnist_image(image) for image in images]
    same = [np.array_equal(image, kept) for image, kept in zip(images, found, strict=True)]
    assert np.mean(same) > 0.99


def test_strokes_are_as_wide_as_pens() -> None:
    ink = drawn()[0].float().mean(dim=(1, 2, 3)) / 255
    assert ink.min() > 0.02
    assert ink.max() < 0.45
    assert ink.std() > 0.03


def test_every_digit_has_several_styles() -> None:
    assert set(STYLED) == set(DIGITS)
    assert min(STYLED.count(digit) for digit in DIGITS) >= 3


def test_a_network_that_never_saw_them_predicts_most() -> None:
    images, labels = drawn()
    info = find_run("kilonet-25k").data_info
    model = kilonet.load("kilonet-25k")
    predicted = predict_probabilities(model, images, info.mean, info.std).argmax(axis=1)
    for digit in range(10):
        assert (predicted == digit)[labels == digit].mean() > 0.5, digit
    assert (predicted == labels.numpy()).mean() > 0.8
