"""Streams are apart, repeatable, and the ones that stored results were made with."""

from __future__ import annotations

from itertools import product

import torch
from hypothesis import given
from hypothesis import strategies as st

from kilonet.training.seeding import derive, generator

PURPOSES = ("weights", "order", "augmentation", "dropout", "sample")


def test_streams_are_all_different() -> None:
    places = list(product(range(40), PURPOSES, range(20), range(4)))
    assert len({derive(*place) for place in places}) == len(places)


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(PURPOSES),
    st.integers(0, 10**4),
    st.integers(0, 10**3),
)
def test_seeds_fit_what_takes_them(seed: int, purpose: str, epoch: int, rank: int) -> None:
    found = derive(seed, purpose, epoch, rank)
    assert 0 <= found < 2**63
    assert found == derive(seed, purpose, epoch, rank)


def test_streams_of_the_stored_results() -> None:
    assert derive(0, "weights") == 1905279971806244056
    assert derive(3, "order", 7) == 7531567516941813999
    assert derive(3, "order", 7, 1) == 1766163557761292070
    draws = torch.randperm(10, generator=generator(0, "order", 1))
    assert draws.tolist() == [5, 9, 4, 1, 2, 7, 8, 3, 0, 6]


def test_neighbouring_streams_share_nothing() -> None:
    first = torch.rand(1000, generator=generator(0, "order", 1), dtype=torch.float64)
    second = torch.rand(1000, generator=generator(0, "order", 2), dtype=torch.float64)
    assert not set(first.tolist()) & set(second.tolist())
    assert abs(torch.corrcoef(torch.stack([first, second]))[0, 1]) < 0.1
