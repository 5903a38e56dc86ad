"""Elastic displacement: a smooth spline with mean square 1."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline

from kilonet.data.warp import CONTROLS, elastic_displacement


def controls(count: int, seed: int = 0) -> torch.Tensor:
    shape = (count, 2, CONTROLS, CONTROLS)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("height", "width"), [(28, 28), (20, 36), (3, 1)])
def test_the_mean_square_is_one(height: int, width: int) -> None:
    moved = elastic_displacement(controls(4000), height, width)
    assert moved.shape == (4000, 2, height, width)
    assert moved.square().mean() == pytest.approx(1, abs=0.03)
    assert moved.mean() == pytest.approx(0, abs=0.03)


def test_the_spline_is_scipys() -> None:
    given = controls(1)
    moved = elastic_displacement(given, 28, 28)[0, 0].double().numpy()
    knots = np.arange(-3.0, CONTROLS + 1)  # uniform, the image from 0 to CONTROLS − 3
    at = (np.arange(28) + 0.5) * (CONTROLS - 3) / 28
    basis = BSpline.design_matrix(at, knots, 3).toarray()
    expected = basis @ given[0, 0].double().numpy() @ basis.T
    ratio = moved / expected  # they differ by one factor, which the test above holds
    assert np.ptp(ratio) == pytest.approx(0, abs=1e-3)


def test_neighbours_move_together_and_distant_pixels_do_not() -> None:
    moved = elastic_displacement(controls(4000), 28, 28)[:, 0, 14]
    correlation = torch.corrcoef(moved.T)
    assert correlation[10, 11] > 0.97
    assert correlation[10, 14] == pytest.approx(np.exp(-(4**2) / (4 * 4.0**2)), abs=0.05)
    assert abs(correlation[0, 27]) < 0.05


def test_axes_and_images_are_independent() -> None:
    moved = elastic_displacement(controls(4000), 28, 28)[:, :, 14, 14]
    assert abs(torch.corrcoef(moved.T)[0, 1]) < 0.05
    assert abs(torch.corrcoef(torch.stack([moved[1:, 0], moved[:-1, 0]]))[0, 1]) < 0.05
