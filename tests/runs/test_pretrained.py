"""Shipped models agree with their cards: counted and evaluated again."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import pytest

import kilonet
from kilonet.runs import layout
from kilonet.runs.environment import environment
from kilonet.runs.find import ShippedModel, open_run, shipped_models

RESULTS = Path(__file__).resolve().parents[2] / "results"
MODELS = shipped_models()
EXEMPT = ("running_mean", "running_var", "num_batches_tracked")
each = pytest.mark.parametrize("model", MODELS, ids=[model.name for model in MODELS])


def stored_numbers(path: Path) -> int:
    """Count what a safetensors file holds by its header alone, batch norm's statistics left out."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    return sum(
        math.prod(entry["shape"])
        for name, entry in header.items()
        if name != "__metadata__" and not name.endswith(EXEMPT)
    )


@each
def test_parameters(model: ShippedModel) -> None:
    counted = stored_numbers(model.path / layout.LAST)
    assert counted == open_run(model.name).metrics()["parameters"]
    budget = open_run(model.name).recipe().constraints.max_parameters
    assert budget is not None and counted <= budget


@each
def test_the_card_agrees_with_the_results(model: ShippedModel) -> None:
    stored = json.loads((RESULTS / f"{model.name}.json").read_text(encoding="utf-8"))
    of_results = {entry["seed"]: entry["test_correct"] for entry in stored["runs"]}
    assert {run.seed: run.test_correct for run in model.card.seeds} == of_results
    assert model.card.shipped_seed == 0
    assert open_run(model.name).metrics()["test"]["correct"] == of_results[0]


@each
@pytest.mark.mnist
def test_evaluated_again(model: ShippedModel, mnist_dir: Path) -> None:
    """Exact on the machine of the record; rounding elsewhere may change two images."""
    run = open_run(model.name)
    found = kilonet.evaluate(model.name, data_dir=mnist_dir)
    here, there = environment("cpu", 1), run.facts["environment"]
    same = all(here[key] == there[key] for key in ("processor", "torch"))
    assert abs(found.correct - run.metrics()["test"]["correct"]) <= (0 if same else 2)
    assert found.total == 10_000
