"""From runs to answers: each cell's mean and spread, and how it compares with the baseline.

Cells are compared on the seeds that both have, pair by pair, as a seed decides the split, the
first weights and the order of the images; and on the same test images. With several cells the p
values are adjusted for having looked at all of them (Holm).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

import numpy as np

from kilonet.evaluation.statistics import McNemar, Paired, better_on_more, holm, paired, t_interval
from kilonet.studies.found import Found
from kilonet.studies.plan import Plan

CONFIDENCE = 0.95
SIGNIFICANT = 0.05
# Where none is asked for, the highest of these that all runs of both cells reach.
THRESHOLDS = (
    *(0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.985),
    *(0.99, 0.992, 0.994, 0.995, 0.996, 0.997, 0.998),
)


@dataclass(frozen=True)
class Summary:
    """A cell over its seeds. Accuracies are fractions; the interval is Student's."""

    label: str
    runs: tuple[Found, ...]
    mean: float
    deviation: float | None
    """Standard deviation, None for a single run."""
    half_width: float | None
    """Of the 95 % interval of the mean, None for a single run."""
    epochs: float
    seconds: float
    parameters: int
    macs: int


@dataclass(frozen=True)
class Sooner:
    """Epochs to a validation accuracy, both cells' runs having reached it."""

    accuracy: float
    epochs: Paired
    """The baseline's epochs less this cell's: positive where this cell is sooner."""
    p_adjusted: float


@dataclass(frozen=True)
class Comparison:
    """A cell against the baseline; positive differences are in the cell's favour."""

    label: str
    seeds: int
    """Which both have."""
    accuracy: Paired
    """Of test accuracy, as fractions."""
    accuracy_p_adjusted: float
    images: McNemar | None
    """A: the cell; None where it was not recorded which images were read wrongly."""
    images_p_adjusted: float
    threshold: float | None
    """The validation accuracy that was waited for, if there was one to wait for."""
    sooner: Sooner | None
    never: tuple[int, int] = (0, 0)
    """How many runs of the cell, and of the baseline, did not reach the threshold."""


@dataclass(frozen=True)
class Analysis:
    """What a study found: cells in the order of the plan, those with no finished run left out."""

    cells: list[Summary]
    baseline: str
    comparisons: list[Comparison]
    failures: dict[str, str]
    """The runs that could not be made, and why."""


def analyse(
    plan: Plan,
    found: Sequence[Sequence[Found]],
    failures: dict[str, str],
    threshold: float | None = None,
) -> Analysis:
    """Return what the runs of ``plan`` say; ``threshold`` is the accuracy whose epoch is compared.

    Cells whose test images differ (another data set) are not compared image by image.
    """
    summaries = {
        cell.label: _summary(cell.label, runs)
        for cell, runs in zip(plan.cells, found, strict=True)
        if runs
    }
    reference = plan.cells[plan.baseline].label
    comparisons: list[Comparison] = []
    if reference in summaries:
        base = summaries[reference].runs
        comparisons = [
            compared
            for label, cell in summaries.items()
            if label != reference and (compared := _compare(label, cell.runs, base, threshold))
        ]
    return Analysis([*summaries.values()], reference, _adjusted(comparisons), failures)


def _summary(label: str, runs: Sequence[Found]) -> Summary:
    accuracies = [run.accuracy for run in runs]
    mean, half_width = t_interval(accuracies, CONFIDENCE)
    several = len(runs) > 1
    return Summary(
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
    label: str, cell: Sequence[Found], base: Sequence[Found], threshold: float | None
) -> Comparison | None:
    """Compare on the seeds that both have; None where there is none."""
    others = {run.seed: run for run in base}
    mine = [run for run in cell if run.seed in others]
    theirs = [others[run.seed] for run in mine]
    if not mine:
        return None
    accuracy = paired([run.accuracy for run in mine], [run.accuracy for run in theirs], CONFIDENCE)
    images = _images(mine, theirs)
    waited = threshold if threshold is not None else _highest(mine, theirs)
    sooner, never = _sooner(mine, theirs, waited)
    return Comparison(
        label=label,
        seeds=len(mine),
        accuracy=accuracy,
        accuracy_p_adjusted=accuracy.p_value,
        images=images,
        images_p_adjusted=images.p_value if images else 1.0,
        threshold=waited,
        sooner=sooner,
        never=never,
    )


def _images(mine: Sequence[Found], theirs: Sequence[Found]) -> McNemar | None:
    if len({(run.dataset, run.images) for run in (*mine, *theirs)}) > 1:
        return None
    counts = []
    for runs in (mine, theirs):
        right = np.full(runs[0].images, len(runs))
        for run in runs:
            if run.wrong is None:
                return None
            right[sorted(run.wrong)] -= 1
        counts.append(right)
    return better_on_more(*counts)


def _highest(mine: Sequence[Found], theirs: Sequence[Found]) -> float | None:
    """Return the highest of the thresholds that every run reached."""
    best = [max(run.by_epoch(), default=0.0) for run in (*mine, *theirs)]
    return max((value for value in THRESHOLDS if value <= min(best)), default=None)


def _sooner(
    mine: Sequence[Found], theirs: Sequence[Found], threshold: float | None
) -> tuple[Sooner | None, tuple[int, int]]:
    if threshold is None:
        return None, (0, 0)
    mine_at = [run.epochs_to(threshold) for run in mine]
    theirs_at = [run.epochs_to(threshold) for run in theirs]
    never = (mine_at.count(None), theirs_at.count(None))
    if any(never):
        return None, never
    epochs = paired(np.array(theirs_at, dtype=float), np.array(mine_at, dtype=float), CONFIDENCE)
    return Sooner(threshold, epochs, epochs.p_value), never


def _adjusted(comparisons: list[Comparison]) -> list[Comparison]:
    """Return ``comparisons`` with the p values of each kind adjusted over the cells."""
    of_accuracy = holm([each.accuracy.p_value for each in comparisons])
    of_images = _holm_of_those(
        comparisons, lambda each: each.images.p_value if each.images else None
    )
    of_epochs = _holm_of_those(
        comparisons, lambda each: each.sooner.epochs.p_value if each.sooner else None
    )
    return [
        replace(
            each,
            accuracy_p_adjusted=accuracy,
            images_p_adjusted=images,
            sooner=each.sooner and replace(each.sooner, p_adjusted=epochs),
        )
        for each, accuracy, images, epochs in zip(
            comparisons, of_accuracy, of_images, of_epochs, strict=True
        )
    ]


def _holm_of_those(
    comparisons: Sequence[Comparison], p_value: Callable[[Comparison], float | None]
) -> list[float]:
    """Return the adjusted p values, 1 where a comparison has none of that kind."""
    values = [p_value(each) for each in comparisons]
    adjusted = iter(holm([value for value in values if value is not None]))
    return [1.0 if value is None else next(adjusted) for value in values]
