"""What is stored keeps to its layout, and so does what was stored before."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks.contest import ROOT, Block
from benchmarks.contestants import task
from benchmarks.entries import PLAIN, VARIANTS, Settings
from benchmarks.full import full_entry
from benchmarks.ratios import ratio
from benchmarks.results import (
    Arithmetic,
    Backends,
    Full,
    FullRun,
    Pieces,
    Reach,
    ReachEntry,
    ReachRun,
    Result,
    Task,
    Throughput,
    machine,
    store,
)
from benchmarks.rounds import entry, rounds_of
from benchmarks.tables import tables
from benchmarks.throughput import over_limit, ratios
from pydantic import ValidationError
from rich.console import Console

KINDS: dict[str, type[Result]] = {
    "throughput": Throughput,
    "pieces": Pieces,
    "backends": Backends,
    "full": Full,
    "reach": Reach,
}
SETTINGS = Settings(Path("python"), "data", rounds=2, steps=4)
FACTS = {
    "ready": True,
    "startup_seconds": 3.0,
    "warmup_seconds": 1.0,
    "warmup_steps": 5,
    "threads": 2,
    "versions": {"torch": "2.13.0"},
}
BLOCKS = {
    "kilonet": [Block(0.5, 1024), Block(0.25, 1024)],
    "plain": [Block(2.0, 1024), Block(1.25, 1024)],
}
ARITHMETIC = Arithmetic(
    macs_per_image=1,
    flops_per_image=2,
    flops_per_step=512,
    matrix_sizes=[512],
    gflops={"1": {"float32": 80.0}, "2": {"float32": 160.0}},
    step_milliseconds={"1": {"float32": 50.0}, "2": {"float32": 25.0}},
)


def throughput() -> Throughput:
    people = [VARIANTS[0], PLAIN]
    entries = {c.name: entry(c, FACTS, BLOCKS[c.name]) for c in people}
    return Throughput(
        machine=machine(quick=True),
        task=Task(),
        rounds=rounds_of(SETTINGS),
        trials={"plain": {"0": 100.0, "1": 150.0}},
        contestants=entries,
        ratios=ratios(people, BLOCKS),
        arithmetic=ARITHMETIC,
        over_limit={name: over_limit(found, ARITHMETIC) for name, found in entries.items()},
    )


def pieces() -> Pieces:
    return Pieces(
        machine=machine(quick=True),
        task=Task(),
        rounds=rounds_of(SETTINGS),
        contestants={"nothing": entry(VARIANTS[0], FACTS, BLOCKS["kilonet"])},
        step_ratio={"nothing": ratio(BLOCKS["kilonet"], BLOCKS["plain"])},
    )


def backends() -> Backends:
    return Backends(
        machine=machine(quick=True),
        task=Task(),
        rounds=rounds_of(SETTINGS),
        contestants={"keras-jax": entry(VARIANTS[0], FACTS, BLOCKS["kilonet"])},
        missing={"keras-torch": "not installed"},
    )


def full(epochs: int = 3) -> Full:
    ours, plain = (
        FullRun(
            seed=0,
            epochs=epochs,
            train_seconds=seconds,
            process_seconds=seconds + 5,
            test_accuracy=0.99,
        )
        for seconds in (30.0, 120.0)
    )
    return Full(
        machine=machine(quick=True),
        task=Task(),
        recipe_epochs=15,
        trials={},
        contestants={
            "kilonet": full_entry(VARIANTS[0], [ours], epochs),
            "plain": full_entry(PLAIN, [plain], epochs),
        },
        train_ratio={"kilonet": ratio([Block(30, 1)], [Block(120, 1)])},
        process_ratio={"kilonet": ratio([Block(35, 1)], [Block(125, 1)])},
    )


def reach() -> Reach:
    seeds = [
        ReachRun(
            seed=seed,
            seconds=20.0 + seed,
            epochs=8,
            workers=2,
            precision="bfloat16",
            validation_accuracy=0.994,
            test_accuracy=0.995,
            test_correct=9950,
        )
        for seed in (0, 1)
    ]
    entry = ReachEntry(fingerprint="0" * 12, parameters=21_482, goal=0.994, runs=seeds)
    return Reach(machine=machine(quick=False), contestants={"fast-99.4": entry})


RESULTS = {
    "throughput": throughput,
    "pieces": pieces,
    "backends": backends,
    "full": full,
    "reach": reach,
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_stored_reads_back(kind: str, tmp_path: Path) -> None:
    result = RESULTS[kind]()
    path = store(result, tmp_path / "deep" / "folder")
    assert path.name == f"bench-{kind}.json"
    assert KINDS[kind].model_validate_json(path.read_text()) == result


@pytest.mark.parametrize("path", sorted((ROOT / "results").glob("bench-*.json")), ids=str)
def test_the_results_in_the_repository_keep_to_the_layout(path: Path) -> None:
    found = json.loads(path.read_text(encoding="utf-8"))
    result = KINDS[found["benchmark"]].model_validate(found)
    assert path.name == f"bench-{result.benchmark}.json"
    assert not result.machine.quick
    assert isinstance(result, Reach) or result.task == Task()


def test_what_the_layout_does_not_know_is_refused() -> None:
    content: dict[str, Any] = throughput().model_dump()
    with pytest.raises(ValidationError, match="extra"):
        Throughput.model_validate(content | {"extra": 1})
    content["contestants"]["plain"]["startup_seconds"] = float("inf")
    with pytest.raises(ValidationError, match="startup_seconds"):
        Throughput.model_validate(content)


def test_the_figures_follow_from_the_blocks() -> None:
    found = throughput()
    ours = found.contestants["kilonet"]
    assert ours.images_per_second.median == pytest.approx((2048 + 4096) / 2)
    # A step is 256 images: a quarter of 0.5 s, and of 0.25 s.
    assert ours.step_milliseconds.median == pytest.approx((125 + 62.5) / 2)
    assert found.ratios["kilonet"]["plain"].by_round == pytest.approx([4.0, 5.0])
    assert set(found.ratios) == {"kilonet"}
    assert found.over_limit["kilonet"]["float32"] == pytest.approx(93.75 / 25)


def test_the_machine_is_described() -> None:
    facts = machine(quick=False)
    assert {"commit", "processor", "cores", "torch", "python"} <= set(facts.environment)
    assert "threads" not in facts.environment


def test_shorter_runs_are_extrapolated_and_say_so() -> None:
    entries = full(epochs=3).contestants
    guess = entries["plain"].extrapolated_train_seconds
    assert guess is not None and guess.median == pytest.approx(600)
    assert entries["plain"].train_seconds.median == 120
    assert full(epochs=task.EPOCHS).contestants["plain"].extrapolated_train_seconds is None


def printed(*results: Result) -> str:
    console = Console(width=200, file=io.StringIO(), record=True)
    for result in results:
        for table in tables(result):
            console.print(table)
    return console.export_text()


@pytest.mark.parametrize("kind", KINDS)
def test_tables_show_every_contestant(kind: str) -> None:
    result = RESULTS[kind]()
    text = printed(result)
    for name in result.contestants:
        assert name in text


def test_the_tables_say_the_ratio_its_quartiles_and_what_is_extrapolated() -> None:
    text = printed(throughput(), full())
    assert "4.50× (4.25–4.75)" in text
    assert "600 (extrapolated)" in text
    assert "3.57× (3.57–3.57)" in text
