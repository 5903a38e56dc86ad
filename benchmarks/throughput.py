"""Images per second while training: Kilonet and the peers, alternating."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.arithmetic import measure
from benchmarks.contest import Block, Contestant
from benchmarks.entries import LIGHTNING, PEERS, PLAIN, VARIANTS, Settings, selected
from benchmarks.ratios import ratio
from benchmarks.results import Arithmetic, Entry, Figures, Ratio, Task, Throughput, machine
from benchmarks.rounds import contest, rounds_of, with_best_workers

WITH_LOADER = (PLAIN.module, LIGHTNING.module)


def run(settings: Settings) -> Throughput:
    """Measure the limit, find the best number of loader workers, then run the contest."""
    contestants = selected(settings, [*VARIANTS, *PEERS])
    facts = machine(settings.quick)
    arithmetic = measure(settings.quick)
    contestants, trials = _with_loaders(contestants, settings)
    entries, blocks = contest(contestants, settings)
    return Throughput(
        machine=facts,
        task=Task(),
        rounds=rounds_of(settings),
        trials=trials,
        contestants=entries,
        ratios=ratios(contestants, blocks),
        arithmetic=arithmetic,
        over_limit={name: over_limit(entry, arithmetic) for name, entry in entries.items()},
    )


def _with_loaders(
    contestants: Sequence[Contestant], settings: Settings
) -> tuple[list[Contestant], dict[str, Figures]]:
    found = {c.name: with_best_workers(c, settings) for c in contestants if c.module in WITH_LOADER}
    best = {name: contestant for name, (contestant, _) in found.items()}
    trials = {name: figures for name, (_, figures) in found.items()}
    return [best.get(contestant.name, contestant) for contestant in contestants], trials


def ratios(
    contestants: Sequence[Contestant], blocks: Mapping[str, Sequence[Block]]
) -> dict[str, dict[str, Ratio]]:
    """Return how many times faster each variant of Kilonet is than each other contestant."""
    return {
        mine.name: {
            other.name: ratio(blocks[mine.name], blocks[other.name])
            for other in contestants
            if other is not mine
        }
        for mine in contestants
        if mine.is_kilonet
    }


def over_limit(entry: Entry, arithmetic: Arithmetic) -> Figures:
    """Return the step time divided by the arithmetic limit of all threads, for each precision."""
    all_threads = max(arithmetic.step_milliseconds, key=int)
    limits = arithmetic.step_milliseconds[all_threads]
    return {name: entry.step_milliseconds.median / limit for name, limit in limits.items()}
