"""Run the contestants alternately and return their result entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks.contest import Block, Contestant, alternate, started
from benchmarks.contestants import task
from benchmarks.entries import LOADER_WORKERS, Settings, command
from benchmarks.ratios import speeds, spread
from benchmarks.results import Entry, Figures, RoundFigures, Rounds


def contest(
    contestants: Sequence[Contestant], settings: Settings
) -> tuple[dict[str, Entry], dict[str, list[Block]]]:
    """Run ``contestants`` alternately; return their entries and their blocks."""
    commands = {contestant.name: command(contestant, settings) for contestant in contestants}
    with started(contestants, commands) as running:
        processes = [process for process, _ in running.values()]
        blocks = alternate(processes, settings.rounds, settings.steps, settings.lead_in)
        entries = {
            name: entry(process.contestant, facts, blocks[name])
            for name, (process, facts) in running.items()
        }
    return entries, blocks


def entry(contestant: Contestant, facts: dict[str, Any], blocks: Sequence[Block]) -> Entry:
    """Return the stored entry of a contestant."""
    by_round = speeds(blocks)
    facts = {key: value for key, value in facts.items() if key != "ready"}
    return Entry(
        module=contestant.module,
        options=dict(contestant.options),
        by_round=[RoundFigures(seconds=b.seconds, images=b.images) for b in blocks],
        images_per_second=spread(by_round),
        step_milliseconds=spread([1000 * task.BATCH_SIZE / speed for speed in by_round]),
        **facts,
    )


def rounds_of(settings: Settings) -> Rounds:
    """Return the settings of the rounds, for the results file."""
    return Rounds(rounds=settings.rounds, steps=settings.steps, lead_in=settings.lead_in)


def with_best_workers(contestant: Contestant, settings: Settings) -> tuple[Contestant, Figures]:
    """Return ``contestant`` with the best number of loader workers, and the speed of each."""
    trials = {
        workers: replace(
            contestant,
            name=f"{contestant.name}-{workers}",
            options={**contestant.options, "workers": workers},
        )
        for workers in ((0,) if settings.quick else LOADER_WORKERS)
    }
    short = replace(settings, rounds=1 if settings.quick else 3)
    entries, _ = contest(list(trials.values()), short)
    figures = {
        str(workers): entries[trial.name].images_per_second.median
        for workers, trial in trials.items()
    }
    best = max(trials, key=lambda workers: figures[str(workers)])
    return replace(trials[best], name=contestant.name), figures
