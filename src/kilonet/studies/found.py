"""What the runs of a study found, read from their directories."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kilonet.errors import RunError
from kilonet.runs.directory import RunDirectory
from kilonet.runs.layout import Row
from kilonet.studies.directory import StudyDirectory


@dataclass(frozen=True)
class Found:
    """A finished run: what it reached and what it cost. Accuracies are fractions."""

    name: str
    seed: int
    accuracy: float
    """Of the judged weights, on the test split."""
    dataset: str
    images: int
    """Of its test split."""
    wrong: frozenset[int] | None
    """Which of them it read wrongly; None where that was not recorded."""
    history: tuple[Row, ...]
    parameters: int
    macs: int
    seconds: float
    """Spent training, with whatever else the machine was doing."""

    def by_epoch(self) -> list[float]:
        """Return the validation accuracy after each epoch; empty without validation images."""
        return [row["validation_accuracy"] for row in self.history if "validation_accuracy" in row]

    def epochs_to(self, accuracy: float) -> int | None:
        """Return the first epoch with that validation accuracy or more, None if there was none."""
        reached = (place for place, value in enumerate(self.by_epoch(), 1) if value >= accuracy)
        return next(reached, None)


def read_run(run: RunDirectory, seed: int) -> Found:
    """Return what the finished ``run`` found.

    Raises:
        RunError: its files are damaged.
    """
    metrics, history = run.metrics(), run.history()
    wrong = metrics.get("wrong")
    return Found(
        name=run.name,
        seed=seed,
        accuracy=metrics["test"]["accuracy"],
        dataset=metrics["dataset"],
        images=metrics["test"]["total"],
        wrong=frozenset(wrong) if wrong is not None else None,
        history=tuple(history),
        parameters=metrics["parameters"],
        macs=metrics.get("macs", 0),
        seconds=sum(row["seconds"] for row in history),
    )


def found_in(study: StudyDirectory) -> list[list[Found]]:
    """Return the finished runs of each cell of the plan, in the order of their seeds.

    Raises:
        RunError: one is damaged; the message says which, and what to do.
    """
    return [list(_of_cell(study, place)) for place in range(len(study.plan.cells))]


def _of_cell(study: StudyDirectory, place: int) -> Iterator[Found]:
    plan = study.plan
    for seed in plan.seeds:
        name = plan.run_name(plan.cells[place], seed)
        try:
            run = study.finished(name)
            if run is not None:
                yield read_run(run, seed)
        except RunError as error:
            raise RunError(
                f"{error} Remove {study.runs / name} to have that run made again."
            ) from None
