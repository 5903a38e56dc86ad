"""The arithmetic limit: operation counts match a manual count; measurements are consistent."""

from __future__ import annotations

import pytest
import torch

from benchmarks import arithmetic

# Kernel area × channels in × channels out × pixels of the output, layer by layer.
FIRST = 9 * 1 * 16 * 28 * 28
OTHERS = (
    9 * 16 * 16 * 28 * 28,
    16 * 12 * 14 * 14,
    9 * 12 * 28 * 14 * 14,
    9 * 28 * 28 * 14 * 14,
    28 * 32 * 7 * 7,
    32 * 10,
)


def test_operation_counts_match_a_manual_count() -> None:
    macs, flops = arithmetic.costs()
    assert macs == FIRST + sum(OTHERS)
    # Forward pass and weight gradients use every layer; input gradients all layers but the first.
    assert flops == 2 * (2 * FIRST + 3 * sum(OTHERS))


def test_measurement_is_consistent() -> None:
    threads = torch.get_num_threads()
    found = arithmetic.measure(quick=True)
    assert torch.get_num_threads() == threads
    assert found.flops_per_step == 256 * found.flops_per_image
    for count, by_precision in found.gflops.items():
        assert set(by_precision) == {"float32", "bfloat16"}
        for name, speed in by_precision.items():
            limit = found.step_milliseconds[count][name]
            assert limit * speed * 1e6 == pytest.approx(found.flops_per_step)
