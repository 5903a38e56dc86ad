from __future__ import annotations

import pytest
import torch

from kilonet.data.batches import batches, epoch_order

INDICES = torch.arange(100, 110)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_without_a_generator_the_order_stays() -> None:
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


def test_nothing_gives_no_batch() -> None:
    assert list(batches(torch.empty(0, dtype=torch.int64), 4, generator(0))) == []


def test_epoch_order_is_a_permutation_from_its_generator_alone() -> None:
    torch.manual_seed(1)
    first = epoch_order(1000, generator(7))
    torch.manual_seed(2)
    assert torch.equal(epoch_order(1000, generator(7)), first)
    assert torch.equal(first.sort().values, torch.arange(1000)) and first.dtype == torch.int64
