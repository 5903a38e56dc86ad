"""p4 filters are detected; other filters are not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import example

from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.p4 import align_orientations, find_p4_filters, rotate_orientations
from kilonet.models.blocks import P4Conv2d

KINDS = [
    {"in_channels": 8, "out_channels": 12, "kernel_size": 3, "regular": True},
    {"in_channels": 8, "out_channels": 12, "kernel_size": 1, "regular": True},
    {"in_channels": 8, "out_channels": 12, "kernel_size": 3},
    {"in_channels": 1, "out_channels": 4, "kernel_size": 5},
    {"in_channels": 8, "out_channels": 8, "kernel_size": 3, "groups": 8},
]


@pytest.mark.parametrize("kind", KINDS)
def test_stored_filters_are_recovered(kind: dict[str, int]) -> None:
    conv = P4Conv2d(**kind)
    filters = conv.filters().detach().numpy()
    found = find_p4_filters(filters, conv.groups)
    assert found is not None
    assert found.are_equal
    assert found.regular == kind.get("regular", False)
    np.testing.assert_array_equal(found.base, conv.weight.detach().numpy())
    back = align_orientations(filters, regular=found.regular)
    np.testing.assert_array_equal(rotate_orientations(back, regular=found.regular), filters)


@pytest.mark.parametrize("kind", KINDS)
def test_a_factor_for_each_filter(kind: dict[str, int]) -> None:
    conv = P4Conv2d(**kind)
    scale = np.linspace(-1.5, 2, conv.out_channels).astype(np.float32)
    scale[1] = 0
    filters = conv.filters().detach().numpy() * scale[:, None, None, None]
    found = find_p4_filters(filters, conv.groups)
    assert found is not None
    assert not found.are_equal
    every = np.repeat(found.base[:, None], 4, axis=1)
    again = rotate_orientations(every, regular=found.regular) * found.factors[:, None, None, None]
    np.testing.assert_allclose(again, filters, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_one_changed_weight_prevents_detection(kind: dict[str, int]) -> None:
    conv = P4Conv2d(**kind)
    filters = conv.filters().detach().numpy().copy()
    filters[2, 0, 0, 0] += 1e-3 * np.abs(filters[2]).max()
    assert find_p4_filters(filters, conv.groups) is None


def test_filters_that_are_not_p4() -> None:
    torch.manual_seed(1)
    filters = P4Conv2d(8, 8, 3, groups=2).filters().detach().numpy()
    assert find_p4_filters(filters, 2) is None
    assert find_p4_filters(np.ones((8, 1, 1, 1), np.float32), 8) is None
    assert find_p4_filters(np.ones((8, 4, 3, 1), np.float32), 1) is None
    assert find_p4_filters(np.ones((10, 4, 3, 3), np.float32), 1) is None


def test_all_p4_convolutions_are_found_after_batch_norm() -> None:
    graph = example("kilonet-2k").graph
    convolutions = [op for op in graph.operators if isinstance(op, ops.Conv2d)]
    found = [find_p4_filters(op.weight, op.groups) for op in convolutions]
    assert all(found[:-1])
    assert found[-1] is None  # the last convolution has one channel per class
    plain = [op for op in example("gap-14k").graph.operators if isinstance(op, ops.Conv2d)]
    assert not any(find_p4_filters(op.weight, op.groups) for op in plain)
