"""Two finished runs on the same test images."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kilonet.errors import UsageError
from kilonet.evaluation.statistics import McNemar, mcnemar
from kilonet.workflows.run import Run, find_run, require_finished


@dataclass(frozen=True)
class RunComparison:
    """Which of two networks reads more of the same test images. Accuracies are fractions."""

    first: str
    second: str
    dataset: str
    images: int
    accuracies: tuple[float, float]
    test: McNemar
    """A: the first, B: the second."""

    @property
    def answer(self) -> str:
        """What can be said, in plain words."""
        from kilonet.report.formatting import p_value, signed

        points = signed(100 * (self.accuracies[0] - self.accuracies[1]))
        found = "a difference" if self.test.p_value < 0.05 else "no difference"
        return (
            f"{found[0].upper()}{found[1:]} between these two networks was found ({points} points "
            f"on {self.images:,} images, p = {p_value(self.test.p_value)}, McNemar's exact test). "
            'Whether their recipes differ takes several seeds: "kilonet study".'
        )

    def to_json(self) -> dict[str, Any]:
        """Return the same as plain values."""
        return {**asdict(self), "answer": self.answer}


def compare(
    first: str | Path | Run,
    second: str | Path | Run,
    *,
    data_dir: str | Path | None = None,
) -> RunComparison:
    """Compare two finished runs by which test images each reads right (McNemar, exact).

    What a run recorded of that is used; one that did not is evaluated again.

    Raises:
        UsageError: there is no such run, or their data sets differ.
        RunError: one is damaged or unfinished.
    """
    runs = (find_run(first), find_run(second))
    for run in runs:
        require_finished(run)
    names = {run.directory.metrics()["dataset"] for run in runs}
    if len(names) > 1:
        raise UsageError(
            f"{runs[0].path} was tested on {runs[0].recipe.data.name}, {runs[1].path} on "
            f"{runs[1].recipe.data.name}: only runs of one data set can be compared."
        )
    right = [_right(run, data_dir) for run in runs]
    return RunComparison(
        first=runs[0].name,
        second=runs[1].name,
        dataset=names.pop(),
        images=len(right[0]),
        accuracies=(float(right[0].mean()), float(right[1].mean())),
        test=mcnemar(*right),
    )


def _right(run: Run, data_dir: str | Path | None) -> npt.NDArray[np.bool_]:
    """Return which test images ``run`` reads right, (N,)."""
    metrics = run.directory.metrics()
    if "wrong" in metrics:
        right = np.ones(metrics["test"]["total"], dtype=bool)
        right[metrics["wrong"]] = False
        return right
    return _evaluated(run, data_dir)


def _evaluated(run: Run, data_dir: str | Path | None) -> npt.NDArray[np.bool_]:
    from kilonet.data.dataset import load_dataset
    from kilonet.evaluation.predict import predict_probabilities
    from kilonet.workflows.load import data_info, load

    network, trained_on = load(run), data_info(run)
    data = load_dataset(run.recipe.data.name, Path(data_dir) if data_dir is not None else None)
    moments = (trained_on.mean, trained_on.std)
    probabilities = predict_probabilities(network, data.test_images, *moments)
    right: npt.NDArray[np.bool_] = probabilities.argmax(axis=1) == data.test_labels.numpy()
    return right
