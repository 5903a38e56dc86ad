"""Keras on each of its backends, to find the fastest."""

from __future__ import annotations

from benchmarks.contest import BenchmarkError, Contestant
from benchmarks.entries import BACKENDS, Settings
from benchmarks.results import Backends, Task, machine
from benchmarks.rounds import contest, rounds_of


def run(settings: Settings) -> Backends:
    """Time the installed backends; record why the others are missing."""
    facts = machine(settings.quick)
    present: list[Contestant] = []
    missing = {}
    for contestant in BACKENDS.values():
        try:
            contest([contestant], _shortest(settings))
            present.append(contestant)
        except BenchmarkError as error:
            missing[contestant.name] = str(error).partition(". Run it by itself")[0]
    if not present:
        raise BenchmarkError(f"Keras runs on no backend here: {next(iter(missing.values()))}.")
    entries, _ = contest(present, settings)
    return Backends(
        machine=facts,
        task=Task(),
        rounds=rounds_of(settings),
        contestants=entries,
        missing=missing,
    )


def _shortest(settings: Settings) -> Settings:
    return Settings(settings.peers, settings.data, rounds=1, steps=1, lead_in=0)
