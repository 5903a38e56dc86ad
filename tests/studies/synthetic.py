"""Synthetic plans and results of studies."""

from __future__ import annotations

from collections.abc import Sequence

from kilonet.recipe.fingerprint import to_toml
from kilonet.recipe.load import resolve
from kilonet.studies.directory import RunResult
from kilonet.studies.plan import PlannedCell, StudyPlan

IMAGES = 1000


def plan_of(*labels: str, seeds: int = 3) -> StudyPlan:
    """Return a plan with cells of these labels, the first the baseline."""
    toml = to_toml(resolve("quick", ["data.name=digits"]).recipe)
    cells = [PlannedCell(label, label, [f"optimizer.name={label}"], toml) for label in labels]
    return StudyPlan("quick", cells, list(range(seeds)))


def results(
    accuracies: Sequence[float],
    *,
    wrong: Sequence[set[int]] | None = None,
    curves: Sequence[Sequence[float]] | None = None,
    dataset: str = "digits",
    parameters: int = 20_000,
) -> list[RunResult]:
    """Return a finished run for each accuracy, with seeds from 0."""
    return [
        RunResult(
            name=f"run-s{seed}",
            seed=seed,
            accuracy=accuracy,
            dataset=dataset,
            images=IMAGES,
            wrong=frozenset(wrong[seed]) if wrong is not None else None,
            history=tuple(
                {"epoch": epoch, "validation_accuracy": value, "seconds": 1.0}
                for epoch, value in enumerate(curves[seed] if curves else [accuracy], 1)
            ),
            parameters=parameters,
            macs=2_000_000,
            seconds=10.0 + seed,
        )
        for seed, accuracy in enumerate(accuracies)
    ]
