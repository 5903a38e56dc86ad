"""Order of batches, normalisation and channel statistics."""

from __future__ import annotations

import pytest
import torch

from kilonet.data.batches import batches, normalise

INDICES = torch.arange(100, 110)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_without_a_generator_the_order_is_kept() -> None:
    pieces = list(batches(INDICES, 4, None))
    assert [len(piece) for piece in pieces] == [4, 4, 2]
    assert torch.equal(torch.cat(pieces), INDICES)


def test_with_a_generator_every_index_comes_once_in_another_order() -> None:
    drawn = torch.cat(list(batches(INDICES, 4, generator(0))))
    assert sorted(drawn.tolist()) == INDICES.tolist() and drawn.tolist() != INDICES.tolist()
    assert torch.equal(torch.cat(list(batches(INDICES, 3, generator(0)))), drawn)
    assert not torch.equal(torch.cat(list(batches(INDICES, 4, generator(1)))), drawn)


@pytest.mark.parametrize(("size", "count"), [(5, 2), (10, 1), (99, 1)])
def test_sizes_that_divide_or_exceed(size: int, count: int) -> None:
    assert len(list(batches(INDICES, size, None))) == count


def test_no_indices_give_no_batch() -> None:
    assert list(batches(torch.empty(0, dtype=torch.int64), 4, generator(0))) == []


def test_the_order_is_a_permutation_from_its_generator_alone() -> None:
    indices = torch.arange(1000)
    torch.manual_seed(1)
    (first,) = batches(indices, 1000, generator(7))
    torch.manual_seed(2)
    (second,) = batches(indices, 1000, generator(7))
    assert torch.equal(second, first)
    assert torch.equal(first.sort().values, indices) and first.dtype == torch.int64


IMAGES = torch.randint(0, 256, (5, 3, 28, 20), dtype=torch.uint8)


def test_agrees_with_the_formula_per_channel() -> None:
    mean, std = (0.1, 0.5, 0.9), (0.3, 1.0, 0.2)
    before = IMAGES.clone()
    result = normalise(IMAGES, mean, std)
    for channel in range(3):
        expected = (IMAGES[:, channel].double() / 255 - mean[channel]) / std[channel]
        torch.testing.assert_close(result[:, channel].double(), expected, atol=1e-5, rtol=1e-6)
    assert torch.equal(IMAGES, before)


def test_is_float32_in_channels_last() -> None:
    result = normalise(IMAGES, [0.0] * 3, [1.0] * 3)
    assert result.dtype == torch.float32 and result.shape == IMAGES.shape
    assert result.is_contiguous(memory_format=torch.channels_last)


def test_training_images_get_mean_0_and_deviation_1() -> None:
    from kilonet.data.dataset import load_dataset

    digits = load_dataset("digits")
    result = normalise(digits.train_images, digits.mean, digits.std)
    assert abs(result.mean().item()) < 1e-3 and abs(result.std().item() - 1) < 1e-3
