"""Statistics of a study: each cell's mean and spread, and its comparison with the baseline.

Cells are compared in pairs of equal seeds, because a seed determines the validation split, the
initial weights and the order of the images; and on the same test images. With several cells the p
values are adjusted for the number of comparisons (Holm).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

import numpy as np

from kilonet.evaluation.statistics import McNemar, Paired, better_on_more, holm, paired, t_interval
from kilonet.studies.directory import RunResult
from kilonet.studies.plan import StudyPlan

SIGNIFICANT = 0.05
# The default threshold is the highest of these that all runs of both cells reach.
THRESHOLDS = (
    *(0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.985),
    *(0.99, 0.992, 0.994, 0.995, 0.996, 0.997, 0.998),
)


@dataclass(frozen=True)
class CellSummary:
    """A cell over its seeds. Accuracies are fractions; the interval is Student's."""

    label: str
    runs: tuple[RunResult, ...]
    mean: float
    deviation: float | None
    """Standard deviation; None for a single run."""
    half_width: float | None
    """Half the width of the mean's 95 % interval; None for a single run."""
    epochs: float
    seconds: float
    parameters: int
    macs: int


@dataclass(frozen=True)
class EpochsSaved:
    """The difference in epochs to a validation accuracy that all runs of both cells reach."""

    accuracy: float
    epochs: Paired
    """The baseline's epochs minus this cell's: positive if this cell is faster."""
    p_adjusted: float


@dataclass(frozen=True)
class CellComparison:
    """A cell compared with the baseline; positive differences are in the cell's favour."""

    label: str
    seeds: int
    """Number of seeds that both have."""
    accuracy: Paired
    """Difference in test accuracy, as fractions."""
    accuracy_p_adjusted: float
    images: McNemar | None
    """A: the cell; None if the misclassified images were not recorded."""
    images_p_adjusted: float
    threshold: float | None
    """The validation accuracy whose epoch is compared, if there is one."""
    saved: EpochsSaved | None
    not_reached: tuple[int, int] = (0, 0)
    """How many runs of the cell, and of the baseline, did not reach the threshold."""


@dataclass(frozen=True)
class Analysis:
    """The results of a study: cells in the order of the plan, without those with no results."""

    cells: list[CellSummary]
    baseline: str
    comparisons: list[CellComparison]
    failures: dict[str, str]
    """The runs that failed, with their messages."""


def analyse(
    plan: StudyPlan,
    results: Sequence[Sequence[RunResult]],
    failures: dict[str, str],
    threshold: float | None = None,
) -> Analysis:
    """Return the statistics of ``results``, the runs of each cell of ``plan``.

    ``threshold`` is the validation accuracy whose epoch is compared. Cells with different test
    images (another data set) are not compared image by image.
    """
    summaries = {
        cell.label: _summarise(cell.label, runs)
        for cell, runs in zip(plan.cells, results, strict=True)
        if runs
    }
    reference = plan.cells[plan.baseline].label
    comparisons: list[CellComparison] = []
    if reference in summaries:
        base = summaries[reference].runs
        comparisons = [
            compared
            for label, cell in summaries.items()
            if label != reference and (compared := _compare(label, cell.runs, base, threshold))
        ]
    return Analysis([*summaries.values()], reference, _adjust(comparisons), failures)


def _summarise(label: str, runs: Sequence[RunResult]) -> CellSummary:
    accuracies = [run.accuracy for run in runs]
    mean, half_width = t_interval(accuracies)
    several = len(runs) > 1
    return CellSummary(
        label=label,
        runs=tuple(runs),
        mean=mean,
        deviation=stdev(accuracies) if several else None,
        half_width=half_width if several else None,
        epochs=fmean(len(run.history) for run in runs),
        seconds=fmean(run.seconds for run in runs),
        parameters=runs[0].parameters,
        macs=runs[0].macs,
    )


def _compare(
    label: str, cell: Sequence[RunResult], base: Sequence[RunResult], threshold: float | None
) -> CellComparison | None:
    """Compare two cells on the seeds that both have; return None if there are none."""
    base_by_seed = {run.seed: run for run in base}
    cell = [run for run in cell if run.seed in base_by_seed]
    base = [base_by_seed[run.seed] for run in cell]
    if not cell:
        return None
    accuracy = paired([run.accuracy for run in cell], [run.accuracy for run in base])
    images = _compare_images(cell, base)
    target = threshold if threshold is not None else _highest_threshold(cell, base)
    saved, not_reached = _compare_epochs(cell, base, target)
    return CellComparison(
        label=label,
        seeds=len(cell),
        accuracy=accuracy,
        accuracy_p_adjusted=accuracy.p_value,
        images=images,
        images_p_adjusted=images.p_value if images else 1.0,
        threshold=target,
        saved=saved,
        not_reached=not_reached,
    )


def _compare_images(cell: Sequence[RunResult], base: Sequence[RunResult]) -> McNemar | None:
    if len({(run.dataset, run.images) for run in (*cell, *base)}) > 1:
        return None
    counts = []
    for runs in (cell, base):
        correct = np.full(runs[0].images, len(runs))
        for run in runs:
            if run.wrong is None:
                return None
            correct[sorted(run.wrong)] -= 1
        counts.append(correct)
    return better_on_more(*counts)


def _highest_threshold(cell: Sequence[RunResult], base: Sequence[RunResult]) -> float | None:
    """Return the highest of ``THRESHOLDS`` that every run reached."""
    best = [max(run.validation_accuracies(), default=0.0) for run in (*cell, *base)]
    return max((value for value in THRESHOLDS if value <= min(best)), default=None)


def _compare_epochs(
    cell: Sequence[RunResult], base: Sequence[RunResult], threshold: float | None
) -> tuple[EpochsSaved | None, tuple[int, int]]:
    """Return the difference in epochs to ``threshold``, and how many runs did not reach it."""
    if threshold is None:
        return None, (0, 0)
    cell_epochs = [run.epochs_to(threshold) for run in cell]
    base_epochs = [run.epochs_to(threshold) for run in base]
    not_reached = (cell_epochs.count(None), base_epochs.count(None))
    if any(not_reached):
        return None, not_reached
    epochs = paired(np.array(base_epochs, dtype=float), np.array(cell_epochs, dtype=float))
    return EpochsSaved(threshold, epochs, epochs.p_value), not_reached


def _adjust(comparisons: list[CellComparison]) -> list[CellComparison]:
    """Return ``comparisons`` with the p values of each kind adjusted for the number of cells."""
    of_accuracy = holm([each.accuracy.p_value for each in comparisons])
    of_images = _holm(comparisons, lambda each: each.images.p_value if each.images else None)
    of_epochs = _holm(comparisons, lambda each: each.saved.epochs.p_value if each.saved else None)
    return [
        replace(
            each,
            accuracy_p_adjusted=accuracy,
            images_p_adjusted=images,
            saved=each.saved and replace(each.saved, p_adjusted=epochs),
        )
        for each, accuracy, images, epochs in zip(
            comparisons, of_accuracy, of_images, of_epochs, strict=True
        )
    ]


def _holm(
    comparisons: Sequence[CellComparison], p_value: Callable[[CellComparison], float | None]
) -> list[float]:
    """Return the adjusted p values of one kind, 1 for a comparison without a value."""
    values = [p_value(each) for each in comparisons]
    adjusted = iter(holm([value for value in values if value is not None]))
    return [1.0 if value is None else next(adjusted) for value in values]
