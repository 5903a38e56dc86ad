"""Evaluate finished runs: on a test split, against constraints, and against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kilonet.errors import UsageError
from kilonet.recipe.schema import Constraints, Data
from kilonet.runs.constraints import ConstraintCheck, MeasuredRun, check_constraints
from kilonet.workflows.runs import Run, find_run, load

if TYPE_CHECKING:
    from kilonet.data.specs import DataInfo, DatasetSpec
    from kilonet.evaluation.metrics import Metrics
    from kilonet.evaluation.statistics import McNemar


def evaluate(
    source: str | Path | Run,
    *,
    data: str | None = None,
    data_dir: str | Path | None = None,
    device: str = "auto",
    model: str | None = None,
) -> Metrics:
    """Return the metrics of a run's network on a test split.

    ``data`` names the data set (default: the run's own); its images are normalised as in the run's
    training. ``model`` is the run's own class if its network is one.

    Raises:
        UsageError: there is no such run or data set, or the images have another shape.
        DataError, RunError, CheckpointError: something on disk is missing or damaged.
    """
    from kilonet.evaluation.metrics import measure
    from kilonet.evaluation.predict import predict_probabilities
    from kilonet.training.device import choose_device
    from kilonet.workflows.data import load_recipe_data, load_run_data

    run = find_run(source)
    trained_on = run.data_info
    other = _data_section(data, trained_on) if data is not None else None
    chosen = choose_device(device)
    network = load(run, model=model).to(chosen)
    dataset = load_recipe_data(other, data_dir) if other else load_run_data(run, data_dir)
    probabilities = predict_probabilities(
        network, dataset.test_images, trained_on.mean, trained_on.std, device=chosen
    )
    return measure(probabilities, dataset.test_labels.numpy(), dataset.classes)


def _data_section(name: str, trained_on: DataInfo) -> Data:
    """Return the ``[data]`` section for the data set ``name``, prepared as in training.

    Raises:
        UsageError: it has images of another shape, or another number of classes.
    """
    from kilonet.data.folder import dataset_spec, is_folder

    channels, side, _ = trained_on.shape
    data = Data(name=name, side=side, colour=channels == 3) if is_folder(name) else Data(name=name)
    _require_same_kind(trained_on, dataset_spec(data))
    return data


def _require_same_kind(trained_on: DataInfo, other: DatasetSpec) -> None:
    if (trained_on.shape, len(trained_on.classes)) != (other.shape, len(other.classes)):
        raise UsageError(
            f"The run was trained on {trained_on.title}: images {trained_on.shape}, "
            f"{len(trained_on.classes)} classes. {other.title} has images {other.shape}, "
            f"{len(other.classes)} classes. Name a data set of the same kind."
        )


def check(
    source: str | Path | Run, constraints: Constraints | None = None
) -> Sequence[ConstraintCheck]:
    """Return the compliance checklist of a finished run, one entry per constraint.

    ``constraints`` replace those of the run's recipe, key by key where they are set.

    Raises:
        UsageError: there is no such run.
        RunError: it is damaged or has not finished.
    """
    run = find_run(source)
    run.directory.require_finished()
    metrics, own = run.directory.metrics(), run.recipe.constraints
    measured = MeasuredRun(
        parameters=metrics["parameters"],
        epochs=metrics["epochs"],
        accuracy=metrics["test"]["accuracy"],
        layers=frozenset(metrics["layers"]),
    )
    changes = constraints.model_dump(exclude_unset=True) if constraints is not None else {}
    return check_constraints(own.model_copy(update=changes), measured)


@dataclass(frozen=True)
class RunComparison:
    """The comparison of two networks on the same test images. Accuracies are fractions."""

    first: str
    second: str
    dataset: str
    images: int
    accuracies: tuple[float, float]
    test: McNemar
    """A: the first, B: the second."""

    @property
    def answer(self) -> str:
        """The conclusion, in plain words."""
        from kilonet.report.formatting import p_value, signed

        points = signed(100 * (self.accuracies[0] - self.accuracies[1]))
        result = "A difference" if self.test.p_value < 0.05 else "No difference"
        return (
            f"{result} between these two networks was found ({points} points "
            f"on {self.images:,} images, p = {p_value(self.test.p_value)}, McNemar's exact test). "
            'Whether their recipes differ takes several seeds: "kilonet study".'
        )

    def to_json(self) -> dict[str, Any]:
        """Return the same as plain values."""
        return {**asdict(self), "answer": self.answer}


def compare(
    first: str | Path | Run, second: str | Path | Run, *, data_dir: str | Path | None = None
) -> RunComparison:
    """Compare two finished runs by their correct predictions on test images (McNemar, exact).

    The predictions that the runs recorded are used; a run without them is evaluated again.

    Raises:
        UsageError: there is no such run, or their data sets differ.
        RunError: one is damaged or unfinished.
    """
    from kilonet.evaluation.statistics import mcnemar

    runs = (find_run(first), find_run(second))
    for run in runs:
        run.directory.require_finished()
    names = {run.directory.metrics()["dataset"] for run in runs}
    if len(names) > 1:
        raise UsageError(
            f"{runs[0].path} was tested on {runs[0].recipe.data.name}, {runs[1].path} on "
            f"{runs[1].recipe.data.name}: only runs of one data set can be compared."
        )
    correct = [_correct(run, data_dir) for run in runs]
    return RunComparison(
        first=runs[0].name,
        second=runs[1].name,
        dataset=names.pop(),
        images=len(correct[0]),
        accuracies=(float(correct[0].mean()), float(correct[1].mean())),
        test=mcnemar(*correct),
    )


def _correct(run: Run, data_dir: str | Path | None) -> npt.NDArray[np.bool_]:
    """Return for each test image whether ``run`` predicts it correctly, (N,)."""
    metrics = run.directory.metrics()
    if "wrong" not in metrics:
        return _correct_again(run, data_dir)
    correct = np.ones(metrics["test"]["total"], dtype=bool)
    correct[metrics["wrong"]] = False
    return correct


def _correct_again(run: Run, data_dir: str | Path | None) -> npt.NDArray[np.bool_]:
    from kilonet.data.dataset import load_dataset
    from kilonet.evaluation.predict import predict_probabilities

    network, trained_on = load(run), run.data_info
    data = load_dataset(run.recipe.data.name, data_dir)
    moments = (trained_on.mean, trained_on.std)
    probabilities = predict_probabilities(network, data.test_images, *moments)
    correct: npt.NDArray[np.bool_] = probabilities.argmax(axis=1) == data.test_labels.numpy()
    return correct
