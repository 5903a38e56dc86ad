"""Time complete trainings: ``kilonet train`` and the plain loop."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contest import ROOT, BenchmarkError, Block, Contestant
from benchmarks.contestants import task
from benchmarks.contestants.kilonet_loop import RECIPE, overrides
from benchmarks.entries import FASTEST, PLAIN, Settings, selected
from benchmarks.ratios import ratio, spread
from benchmarks.results import Full, FullEntry, FullRun, Task, machine
from benchmarks.rounds import with_best_workers

PLAIN_LOOP_OUTPUT = re.compile(r"trained in ([\d.]+) s\s+test accuracy ([\d.]+)")


def run(settings: Settings, epochs: int, seeds: Sequence[int]) -> Full:
    """Train with each seed, alternating between Kilonet and the plain loop."""
    contestants = [c for c in selected(settings, [FASTEST, PLAIN]) if c.name != PLAIN.name]
    facts = machine(settings.quick)
    plain, trial = with_best_workers(PLAIN, settings)
    contestants.append(plain)
    runs: dict[str, list[FullRun]] = {contestant.name: [] for contestant in contestants}
    for seed in seeds:
        for contestant in contestants:
            runs[contestant.name].append(timed(contestant, settings, epochs, seed))
    others = [contestant.name for contestant in contestants if contestant.is_kilonet]
    return Full(
        machine=facts,
        task=Task(),
        recipe_epochs=task.EPOCHS,
        trials={PLAIN.name: trial},
        contestants={c.name: full_entry(c, runs[c.name], epochs) for c in contestants},
        train_ratio={
            n: ratio(_training_blocks(runs[n]), _training_blocks(runs[PLAIN.name])) for n in others
        },
        process_ratio={
            n: ratio(_process_blocks(runs[n]), _process_blocks(runs[PLAIN.name])) for n in others
        },
    )


def timed(contestant: Contestant, settings: Settings, epochs: int, seed: int) -> FullRun:
    """Train once; the time of the process includes starting Python."""
    train = train_kilonet if contestant.is_kilonet else train_plain
    began = time.perf_counter()
    train_seconds, accuracy = train(contestant, settings, epochs, seed)
    return FullRun(
        seed=seed,
        epochs=epochs,
        train_seconds=train_seconds,
        process_seconds=time.perf_counter() - began,
        test_accuracy=accuracy,
    )


def train_kilonet(
    contestant: Contestant, settings: Settings, epochs: int, seed: int
) -> tuple[float, float]:
    """Return the seconds of all epochs, by the run's history, and the test accuracy."""
    from kilonet.workflows.runs import find_run

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        changes = [*overrides(epochs, task.BATCH_SIZE), f"training.seed={seed}"]
        changes += contestant.options.get("changes", [])
        folders = ["--data-dir", settings.data, "--out", str(out)]
        _output([sys.executable, "-m", "kilonet", "train", RECIPE, *changes, *folders])
        run = find_run(out)
        return sum(row["seconds"] for row in run.history), run.test.accuracy


def train_plain(
    contestant: Contestant, settings: Settings, epochs: int, seed: int
) -> tuple[float, float]:
    """Return the seconds of the training and the test accuracy, as the plain loop prints them."""
    script = ROOT / "benchmarks" / "contestants" / "plain_loop.py"
    numbers = {"epochs": epochs, "seed": seed, "batch-size": task.BATCH_SIZE}
    numbers |= contestant.options
    words = [f"--{name}={value}" for name, value in numbers.items()]
    found = PLAIN_LOOP_OUTPUT.search(
        _output([str(settings.peers), str(script), settings.data, *words])
    )
    if found is None:
        raise BenchmarkError(f"{script.name} did not print its time and accuracy.")
    return float(found[1]), float(found[2])


def full_entry(contestant: Contestant, runs: Sequence[FullRun], epochs: int) -> FullEntry:
    """Return the stored entry of a contestant's runs."""
    scaled = [run.train_seconds * task.EPOCHS / run.epochs for run in runs]
    return FullEntry(
        command=f"kilonet train {RECIPE}" if contestant.is_kilonet else f"{contestant.module}.py",
        options=dict(contestant.options),
        runs=list(runs),
        train_seconds=spread([run.train_seconds for run in runs]),
        extrapolated_train_seconds=spread(scaled) if epochs < task.EPOCHS else None,
    )


def _training_blocks(runs: Sequence[FullRun]) -> list[Block]:
    return [Block(run.train_seconds, run.epochs * task.IMAGES) for run in runs]


def _process_blocks(runs: Sequence[FullRun]) -> list[Block]:
    return [Block(run.process_seconds, run.epochs * task.IMAGES) for run in runs]


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        raise BenchmarkError(f"{' '.join(command)} failed: {lines[-1]}")
    return done.stdout
