"""Changes of grey levels: compared with SciPy; random amounts are uniform in their ranges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from kilonet.data import appearance
from kilonet.data.appearance import blurred, change_appearance, on_paper, widened

OFF = {"stroke": 0.0, "blur": 0.0, "paper": 0.0, "noise": 0.0, "inversion": 0.0}


def pictures(count: int = 8, channels: int = 1, seed: int = 0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(count, channels, 28, 20, generator=rng) * 255


def bar(width: int = 4) -> torch.Tensor:
    image = torch.zeros(1, 1, 28, 28)
    image[..., 10 : 10 + width] = 255
    return image


def repaint(images: torch.Tensor, seed: int = 0, **given: float) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return change_appearance(images, rng, **{**OFF, "probability": 1.0, **given})


def test_strokes_are_scipys_dilation_and_erosion() -> None:
    images = pictures(3, channels=2)
    for wider, oracle in ((2.0, ndimage.grey_dilation), (-2.0, ndimage.grey_erosion)):
        got = widened(images, torch.full((3,), wider)).numpy()
        expected = oracle(images.numpy(), size=(1, 1, 3, 3), mode="nearest")
        assert np.abs(got - expected).max() < 1e-4


@pytest.mark.parametrize("wider", [-2.0, -1.0, -0.3, 0.0, 0.5, 1.0, 2.0])
def test_a_bar_grows_by_the_requested_width(wider: float) -> None:
    row = widened(bar(), torch.tensor([wider]))[0, 0, 14]
    assert row.sum() / 255 == pytest.approx(4 + wider, abs=1e-4)


def test_blur_is_scipys_for_each_image() -> None:
    images, sigmas = pictures(4, channels=2), torch.tensor([0.3, 0.8, 1.5, 3.0])
    got = blurred(images, sigmas)
    for image, sigma, found in zip(images, sigmas.tolist(), got, strict=True):
        sizes = (0, sigma, sigma)
        expected = ndimage.gaussian_filter(image.numpy(), sizes, mode="constant", truncate=9)
        assert np.abs(found.numpy() - expected).max() < 0.01


def test_no_blur_is_exact() -> None:
    images = pictures()
    assert torch.equal(blurred(images, torch.zeros(8)), images)


def test_paper_at_its_corners() -> None:
    ink, nothing = torch.full((1, 1, 28, 28), 255.0), torch.zeros(1, 1, 28, 28)
    corners = torch.tensor([[0.0, 1.0, 0.5, 0.25]])
    light = on_paper(nothing, torch.ones(1), corners)[0, 0]
    at = [light[0, 0], light[0, -1], light[-1, 0], light[-1, -1]]
    assert torch.stack(at).tolist() == pytest.approx([0, 127.5, 63.75, 31.875])
    inked = on_paper(ink, torch.ones(1), corners)[0, 0]
    assert inked[0, 0] == pytest.approx(127.5)  # half its darkness, in full light
    assert (inked > light).all()  # ink stays the brighter
    assert torch.equal(on_paper(ink, torch.zeros(1), corners), ink)


def test_noise_has_the_random_deviation() -> None:
    images = torch.full((2000, 1, 28, 28), 128, dtype=torch.uint8)
    deviations = repaint(images, noise=40.0).float().flatten(1).std(dim=1)
    assert deviations.max() == pytest.approx(40, abs=2.5)
    assert deviations.mean() == pytest.approx(20, abs=1)  # uniform from 0 to 40
    assert deviations.std() == pytest.approx(40 / 12**0.5, abs=1)


def test_inversion_is_exact_and_has_its_probability() -> None:
    images = pictures(4000).to(torch.uint8)
    result = repaint(images, inversion=0.3)
    changed = (result != images).flatten(1).any(dim=1)
    assert torch.equal(result[changed], 255 - images[changed])
    assert changed.float().mean() == pytest.approx(0.3, abs=0.03)
    assert torch.equal(repaint(images, inversion=1.0), 255 - images)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """What each change was last called with, per image."""
    seen: dict[str, torch.Tensor] = {}

    def spy(name: str) -> Any:
        def change(pixels: torch.Tensor, amount: torch.Tensor, *_: Any) -> torch.Tensor:
            seen[name] = amount
            return pixels

        return change

    for name in ("widened", "blurred", "on_paper"):
        monkeypatch.setattr(appearance, name, spy(name))
    return seen


def test_amounts_fill_their_ranges_evenly_and_independently(drawn: dict[str, torch.Tensor]) -> None:
    repaint(torch.zeros(4000, 1, 2, 2, dtype=torch.uint8), stroke=1.5, blur=2.0, paper=0.8)
    ranges = {"widened": (-1.5, 1.5), "blurred": (0, 2), "on_paper": (0, 0.8)}
    for name, (low, high) in ranges.items():
        counts = torch.histc(drawn[name], bins=10, min=low, max=high)
        assert counts.min() > 300 and counts.max() < 500  # 400 ± 19 each
        assert counts.sum() == 4000
    table = torch.stack([*drawn.values(), drawn["widened"].abs()])
    assert (torch.corrcoef(table) - torch.eye(4)).abs().max() < 0.08


def test_the_probability_applies_to_each_change_independently(
    drawn: dict[str, torch.Tensor],
) -> None:
    images = torch.zeros(4000, 1, 2, 2, dtype=torch.uint8)
    repaint(images, stroke=1.0, blur=1.0, paper=1.0, probability=0.3)
    hit = torch.stack([drawn[name] != 0 for name in ("widened", "blurred", "on_paper")]).float()
    assert hit.mean(dim=1).tolist() == pytest.approx([0.3] * 3, abs=0.03)
    assert (torch.corrcoef(hit) - torch.eye(3)).abs().max() < 0.08


def test_one_option_does_not_change_the_random_numbers_of_others(
    drawn: dict[str, torch.Tensor],
) -> None:
    images = torch.zeros(50, 1, 2, 2, dtype=torch.uint8)
    repaint(images, blur=1.0)
    alone = drawn["blurred"]
    repaint(images, stroke=1.0, blur=1.0, paper=1.0, noise=9.0, inversion=0.5)
    assert torch.equal(drawn["blurred"], alone)


@settings(max_examples=40, deadline=None)
@given(
    stroke=st.floats(0, 2),
    blur=st.floats(0, 10),
    paper=st.floats(0, 1),
    noise=st.floats(0, 255),
    inversion=st.floats(0, 1),
    probability=st.floats(0, 1),
    channels=st.sampled_from([1, 3]),
)
def test_any_change_keeps_shape_and_input(channels: int, **given: float) -> None:
    images = pictures(5, channels).to(torch.uint8)
    before = images.clone()
    result = repaint(images, **given)
    assert result.shape == images.shape and result.dtype == torch.uint8
    assert torch.equal(images, before)
    assert torch.equal(repaint(images, **given), result)
