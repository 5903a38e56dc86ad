from __future__ import annotations

import torch

from kilonet.data.normalise import normalise

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
