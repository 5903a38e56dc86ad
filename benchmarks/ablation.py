"""Ablation of a training step: optimisations are added one by one, and removed one by one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from benchmarks.contest import Contestant
from benchmarks.entries import Settings
from benchmarks.ratios import ratio
from benchmarks.results import Entry, Pieces, Ratio, Task, machine
from benchmarks.rounds import contest, rounds_of

Switches = Mapping[str, Any]

EVERYTHING: Switches = {
    "channels_last": True,
    "dropout": "kilonet",
    "joined": True,
    "keep_memory": True,
    "fused_optimizer": True,
    "bfloat16": False,
    "compiled": False,
}
NOTHING: Switches = {
    "channels_last": False,
    "dropout": "torch",
    "joined": False,
    "keep_memory": False,
    "fused_optimizer": False,
    "bfloat16": False,
    "compiled": False,
}
REFERENCE = "everything"
VARIANTS: dict[str, Switches] = {
    "nothing": NOTHING,
    "+ channels-last": {**NOTHING, "channels_last": True},
    "+ our dropout": {**NOTHING, "channels_last": True, "dropout": "kilonet"},
    "+ joined block": {**EVERYTHING, "keep_memory": False, "fused_optimizer": False},
    "+ kept memory": {**EVERYTHING, "fused_optimizer": False},
    REFERENCE: EVERYTHING,
    "everything and bfloat16": {**EVERYTHING, "bfloat16": True},
    "everything and compiled kernels": {**EVERYTHING, "compiled": True},
    "everything but channels-last": {**EVERYTHING, "channels_last": False},
    "everything but our dropout": {**EVERYTHING, "dropout": "torch"},
    "everything but the joined block": {**EVERYTHING, "joined": False},
    "everything but kept memory": {**EVERYTHING, "keep_memory": False},
    "everything, no dropout at all": {**EVERYTHING, "dropout": "none"},
}


def run(settings: Settings) -> Pieces:
    """Time each set of optimisations, on one thread and on all cores."""
    facts = machine(settings.quick)
    entries: dict[str, Entry] = {}
    ratios: dict[str, Ratio] = {}
    for threads in sorted({1, os.cpu_count() or 1}):
        contestants = contestants_at(threads)
        found, blocks = contest(list(contestants.values()), settings)
        reference = blocks[contestants[REFERENCE].name]
        entries |= found
        ratios |= {name: ratio(reference, blocks[name]) for name in found}
    return Pieces(
        machine=facts,
        task=Task(),
        rounds=rounds_of(settings),
        contestants=entries,
        step_ratio=ratios,
    )


def contestants_at(threads: int) -> dict[str, Contestant]:
    """Return the contestants on ``threads`` threads, by the name of the variant."""
    return {
        name: Contestant(
            f"{name}, {threads} thread{'s' * (threads > 1)}",
            "pieces_loop",
            {**switches, "threads": threads},
            ("torch",),
            is_kilonet=True,
        )
        for name, switches in VARIANTS.items()
    }
