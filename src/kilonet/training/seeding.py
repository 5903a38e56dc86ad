"""Independent random streams, each derived from the seed of the run and its purpose."""

from __future__ import annotations

import hashlib

import torch


def derive(seed: int, purpose: str, epoch: int = 0, rank: int = 0) -> int:
    """Return a 63-bit seed for the stream (seed, purpose, epoch, rank).

    Hashing makes the streams independent: those of neighbouring seeds or epochs share nothing, and
    drawing more numbers for one purpose does not change another.
    """
    digest = hashlib.blake2b(f"{seed}:{purpose}:{epoch}:{rank}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(seed: int, purpose: str, epoch: int = 0, rank: int = 0) -> torch.Generator:
    """Return a CPU generator at the start of the stream (seed, purpose, epoch, rank)."""
    return torch.Generator().manual_seed(derive(seed, purpose, epoch, rank))
