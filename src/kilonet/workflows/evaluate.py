"""Evaluate networks: on a test split, against constraints, and against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kilonet.errors import UsageError
from kilonet.recipe.schema import Constraints
from kilonet.runs.constraints import ConstraintCheck, MeasuredRun, check_constraints
from kilonet.workflows.runs import Run, find_run, load

if TYPE_CHECKING:
    from torch import nn

    from kilonet.evaluation.metrics import Metrics
    from kilonet.evaluation.statistics import McNemar
    from kilonet.progress import Reporter
    from kilonet.workflows.data import DataSource
    from kilonet.workflows.source import Source


def evaluate(
    source: Source,
    *,
    data: DataSource | None = None,
    data_dir: str | Path | None = None,
    device: str = "auto",
    model: nn.Module | str | None = None,
    reporter: Reporter | None = None,
) -> Metrics:
    """Return the metrics of a network on a test split.

    ``source`` is a run, a model that ships, a folder of ``save_pretrained``, an ONNX file, a fitted
    ``Classifier`` or a ``torch.nn.Module``. ``data`` is the data set (default: the run's own), as
    for ``train``; of images without splits, all are test images. They are normalised as in
    training; for a module, with the data set's own statistics. ``model`` is the run's own class, or
    an object of it, if its network is one. ``reporter`` gets a note on pictures that are left out.

    Raises:
        UsageError: there is no such network or data set, or the images have another shape.
        DataError, RunError, CheckpointError: something on disk is missing or damaged.
    """
    from kilonet.evaluation.metrics import measure
    from kilonet.evaluation.predict import predict_probabilities
    from kilonet.training.device import choose_device
    from kilonet.workflows.data import data_for
    from kilonet.workflows.source import find_source

    chosen = choose_device(device)
    found = find_source(source, model, taker="evaluate")
    dataset = data_for(found, data, data_dir, reporter)
    info = found.info_for(dataset.info)
    probabilities = predict_probabilities(
        found.network.to(chosen), dataset.test_images, info.mean, info.std, device=chosen
    )
    return measure(probabilities, dataset.test_labels.numpy(), dataset.classes)


def check(
    source: Source,
    constraints: Constraints | None = None,
    *,
    data: DataSource | None = None,
    data_dir: str | Path | None = None,
    model: nn.Module | str | None = None,
) -> Sequence[ConstraintCheck]:
    """Return the compliance checklist of a network, one entry per constraint.

    ``constraints`` replace those of the run's recipe, key by key where they are set. A finished run
    has recorded what is checked. Any other network is measured, on the test split of ``data`` if
    an accuracy is required.

    Raises:
        UsageError: there is no such network, or a constraint does not apply to it.
        RunError: it is damaged or has not finished.
    """
    from kilonet.runs.find import is_run

    changes = constraints.model_dump(exclude_unset=True) if constraints is not None else {}
    if not isinstance(source, Run) and not (isinstance(source, str | Path) and is_run(source)):
        required = Constraints().model_copy(update=changes)
        return check_constraints(required, _measured(source, required, data, data_dir, model))
    run = find_run(source)
    run.directory.require_finished()
    metrics = run.directory.metrics()
    measured = MeasuredRun(
        parameters=metrics["parameters"],
        epochs=metrics["epochs"],
        accuracy=metrics["test"]["accuracy"],
        layers=frozenset(metrics["layers"]),
    )
    return check_constraints(run.recipe.constraints.model_copy(update=changes), measured)


def _measured(
    source: Source,
    required: Constraints,
    data: DataSource | None,
    data_dir: str | Path | None,
    model: nn.Module | str | None,
) -> MeasuredRun:
    """Return what ``required`` needs to know of a network that is not a run."""
    from kilonet.models.measure import count_parameters, layer_kinds
    from kilonet.workflows.source import OnnxModule, find_source

    found = find_source(source, model, taker="check")
    structure = required.max_parameters is not None or required.required_layers
    if structure and isinstance(found.network, OnnxModule):
        raise UsageError(
            f"{found.onnx} does not say its parameters and layers as they are counted: its layers "
            "are merged. Check the run or the torch.nn.Module that it was exported from."
        )
    if required.max_epochs is not None:
        raise UsageError(
            f"Only a run knows its epochs; {found.name} is none. Leave max_epochs out."
        )
    accuracy = 1.0
    if required.min_accuracy is not None:
        accuracy = evaluate(source, data=data, data_dir=data_dir, model=model).accuracy
    network = found.network
    return MeasuredRun(count_parameters(network), 0, accuracy, layer_kinds(network))


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
