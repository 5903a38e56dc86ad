"""The format of ``results/bench-*.json``."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveFloat, PositiveInt

from benchmarks.contestants import task
from kilonet.files import write_text
from kilonet.runs.environment import environment

Figures = dict[str, PositiveFloat]


class Layout(BaseModel):
    """A part of the file; unknown keys and infinite numbers are errors."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Spread(Layout):
    """The median and the quartiles of several rounds."""

    median: PositiveFloat
    lower_quartile: PositiveFloat
    upper_quartile: PositiveFloat


class Ratio(Spread):
    """One speed divided by another, measured in the same rounds."""

    by_round: list[PositiveFloat]


class Machine(Layout):
    """Machine, date and versions. ``load`` is the one-minute system load before the start."""

    environment: dict[str, str]
    load: NonNegativeFloat
    date: str
    quick: bool


class Task(Layout):
    """The training task."""

    recipe: str = "gap-14k"
    parameters: PositiveInt = task.PARAMETERS
    images: PositiveInt = task.IMAGES
    batch_size: PositiveInt = task.BATCH_SIZE


class Rounds(Layout):
    """How contestants alternated: in each round one block of ``steps`` after ``lead_in`` steps."""

    rounds: PositiveInt
    steps: PositiveInt
    lead_in: int


class RoundFigures(Layout):
    """One block."""

    seconds: PositiveFloat
    images: PositiveInt


class Entry(Layout):
    """A contestant and its blocks. ``startup_seconds`` ends with the last warm-up step."""

    module: str
    options: dict[str, str | int | float | bool | list[str]]
    versions: dict[str, str]
    threads: PositiveInt
    startup_seconds: PositiveFloat
    warmup_seconds: PositiveFloat
    warmup_steps: PositiveInt
    by_round: list[RoundFigures]
    images_per_second: Spread
    step_milliseconds: Spread


class Arithmetic(Layout):
    """The arithmetic limit; ``gflops`` and ``step_milliseconds`` by threads."""

    macs_per_image: PositiveInt
    flops_per_image: PositiveInt
    flops_per_step: PositiveInt
    matrix_sizes: list[PositiveInt]
    gflops: dict[str, Figures]
    step_milliseconds: dict[str, Figures]


class Throughput(Layout):
    """``bench-throughput.json``: images per second of all contestants."""

    benchmark: Literal["throughput"] = "throughput"
    machine: Machine
    task: Task
    rounds: Rounds
    trials: dict[str, Figures]
    contestants: dict[str, Entry]
    ratios: dict[str, dict[str, Ratio]]
    arithmetic: Arithmetic
    over_limit: dict[str, Figures]


class Pieces(Layout):
    """``bench-pieces.json``: a step with optimisations switched on or off, by threads.

    ``step_ratio`` is the step's time divided by that of the step with everything on, in float32.
    """

    benchmark: Literal["pieces"] = "pieces"
    machine: Machine
    task: Task
    rounds: Rounds
    contestants: dict[str, Entry]
    step_ratio: dict[str, Ratio]


class Backends(Layout):
    """``bench-backends.json``: Keras on each of its backends."""

    benchmark: Literal["backends"] = "backends"
    machine: Machine
    task: Task
    rounds: Rounds
    contestants: dict[str, Entry]
    missing: dict[str, str]


class FullRun(Layout):
    """A whole training. ``process_seconds`` is the time of the whole command, including imports."""

    seed: int
    epochs: PositiveInt
    train_seconds: PositiveFloat
    process_seconds: PositiveFloat
    test_accuracy: float


class FullEntry(Layout):
    """All runs of a contestant.

    If a run had fewer epochs than the recipe, ``extrapolated_train_seconds`` is the mean time per
    epoch times the recipe's epochs; accuracies are not extrapolated.
    """

    command: str
    options: dict[str, str | int | float | bool | list[str]]
    runs: list[FullRun]
    train_seconds: Spread
    extrapolated_train_seconds: Spread | None


class Full(Layout):
    """``bench-full.json``: whole trainings, Kilonet against the plain loop."""

    benchmark: Literal["full"] = "full"
    machine: Machine
    task: Task
    recipe_epochs: PositiveInt
    trials: dict[str, Figures]
    contestants: dict[str, FullEntry]
    train_ratio: dict[str, Ratio]
    process_ratio: dict[str, Ratio]


class ReachRun(Layout):
    """A training, from raw bytes in memory to final weights. Accuracies are fractions."""

    seed: int
    seconds: PositiveFloat
    epochs: PositiveInt
    workers: PositiveInt
    precision: str
    validation_accuracy: float
    test_accuracy: float
    test_correct: int


class ReachEntry(Layout):
    """All runs of a recipe; ``goal`` is the recipe's ``constraints.min_accuracy``."""

    fingerprint: str
    parameters: PositiveInt
    goal: float
    runs: list[ReachRun]


class Reach(Layout):
    """``bench-reach.json``: the time to an accuracy."""

    benchmark: Literal["reach"] = "reach"
    machine: Machine
    contestants: dict[str, ReachEntry]


Result = Throughput | Pieces | Backends | Full | Reach


def machine(quick: bool) -> Machine:
    """Return the facts of this machine, now."""
    facts = environment("cpu", os.cpu_count() or 1)
    del facts["threads"]  # each contestant has its own
    return Machine(
        environment=facts,
        load=os.getloadavg()[0],
        date=datetime.now(UTC).date().isoformat(),
        quick=quick,
    )


def store(result: Result, folder: Path) -> Path:
    """Write ``result`` to its file in ``folder`` and return the path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"bench-{result.benchmark}.json"
    write_text(path, result.model_dump_json(indent=1) + "\n")
    return path
