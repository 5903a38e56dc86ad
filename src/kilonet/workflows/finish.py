"""The end of a run: weights, the one look at the test split, exports and the report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from kilonet.data.dataset import Dataset
from kilonet.errors import KilonetError, MissingExtraError
from kilonet.evaluation.metrics import Metrics, measure
from kilonet.evaluation.predict import predict_probabilities
from kilonet.exports.onnx import export_onnx
from kilonet.files import write_text
from kilonet.metadata import pack_classes
from kilonet.models.measure import (
    count_parameters,
    layer_kinds,
    layers,
    peak_activation_bytes,
    total_macs,
)
from kilonet.models.summary import summary_text
from kilonet.recipe.describe import plain
from kilonet.recipe.schema import Recipe
from kilonet.report.facts import ReportFacts
from kilonet.report.tensorboard import Events
from kilonet.report.write import write_report
from kilonet.runs import layout
from kilonet.runs.compliance import MeasuredRun, check_constraints
from kilonet.runs.directory import RunDirectory
from kilonet.training.checkpoints import put_weights, save_weights
from kilonet.training.fit import Outcome


@dataclass(frozen=True)
class Finished:
    """A trained network with the judged weights, and what the test split says of it.

    ``probabilities`` is float64, (N, K), on the test images.
    """

    recipe: Recipe
    model: nn.Module
    outcome: Outcome
    dataset: Dataset
    probabilities: npt.NDArray[np.float64]
    metrics: Metrics

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Which test images it reads right, (N,)."""
        labels = self.dataset.test_labels.numpy()
        right: npt.NDArray[np.bool_] = self.probabilities.argmax(axis=1) == labels
        return right

    @property
    def judged_epoch(self) -> int:
        """The epoch after which the network had the weights that are judged."""
        best = self.recipe.training.keep == "best"
        return self.outcome.best_epoch if best else len(self.outcome.history)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the images."""
        return (self.dataset.channels, *self.dataset.image_size)


def finish(
    run: RunDirectory,
    model: nn.Module,
    outcome: Outcome,
    dataset: Dataset,
    device: torch.device,
    events: Events | None = None,
) -> RunDirectory:
    """Write what a finished run holds and mark it finished; safe to repeat after a crash.

    ``events`` are told of the test figures.
    """
    recipe = run.recipe()
    run.write_history(outcome.history)
    save_weights(run.file(layout.BEST), outcome.best)
    save_weights(run.file(layout.LAST), outcome.last)
    done = _look_at_test(recipe, model, outcome, dataset, device)
    run.write_json(layout.METRICS, _figures(done))
    if events is not None:
        events.add_test(done.metrics, done.judged_epoch)
    write_text(run.file(layout.SUMMARY), summary_text(done.model, done.shape, run.name))
    note = _export(run, done)
    write_report(run.path, _facts(run, done))
    return run.updated(finished=True, onnx_note=note)


def _look_at_test(
    recipe: Recipe, model: nn.Module, outcome: Outcome, dataset: Dataset, device: torch.device
) -> Finished:
    put_weights(model, outcome.final_weights(recipe))
    probabilities = predict_probabilities(
        model, dataset.test_images, dataset.mean, dataset.std, device=device
    )
    metrics = measure(probabilities, dataset.test_labels.numpy(), dataset.classes)
    return Finished(recipe, model.cpu(), outcome, dataset, probabilities, metrics)


def _figures(done: Finished) -> dict[str, object]:
    return {
        "parameters": count_parameters(done.model),
        "macs": total_macs(done.model, done.shape),
        "peak_activation_bytes": peak_activation_bytes(done.model, done.shape),
        "layers": sorted(layer_kinds(done.model)),
        "dataset": done.dataset.name,
        "epochs": len(done.outcome.history),
        "best_epoch": done.outcome.best_epoch,
        "stopped_because": done.outcome.stopped_because,
        "weights": done.recipe.training.keep,
        "test": done.metrics.to_json(),
        "wrong": np.flatnonzero(~done.right).tolist(),  # for comparisons image by image
    }


def _export(run: RunDirectory, done: Finished) -> str | None:
    """Write ``model.onnx``; return why not where a network of the user's own cannot be exported."""
    dataset = done.dataset
    try:
        export_onnx(
            done.model,
            run.file(layout.ONNX),
            done.shape,
            dataset.mean,
            dataset.std,
            _properties(run, dataset),
        )
    except MissingExtraError:
        raise
    except KilonetError as error:
        return str(error)
    return None


def _properties(run: RunDirectory, dataset: Dataset) -> dict[str, str]:
    environment = run.facts["environment"]
    return {
        "classes": pack_classes(dataset.classes),
        "preparation": dataset.preparation,
        "dataset": dataset.name,
        "recipe": run.facts["recipe"],
        "recipe_fingerprint": run.facts["fingerprint"],
        "producer": f"kilonet {environment['kilonet']} {environment['commit']}".strip(),
    }


def _facts(run: RunDirectory, done: Finished) -> ReportFacts:
    recipe, dataset, outcome = done.recipe, done.dataset, done.outcome
    targets = (recipe.constraints.min_accuracy, recipe.training.stop_at_accuracy)
    return ReportFacts(
        title=run.name,
        recipe_name=run.facts["recipe"],
        recipe_text=plain(recipe),
        dataset_title=dataset.title,
        dataset_name=dataset.name,
        dataset_note=run.facts["data_note"],
        parameters=count_parameters(done.model),
        macs=total_macs(done.model, done.shape),
        activation_bytes=peak_activation_bytes(done.model, done.shape),
        layers=_layer_rows(done),
        history=outcome.history,
        best_epoch=outcome.best_epoch,
        metrics=done.metrics,
        classes=dataset.classes,
        test_images=dataset.test_images.numpy(),
        test_labels=dataset.test_labels.numpy(),
        probabilities=done.probabilities,
        environment=run.facts["environment"],
        checks=_checks(done),
        seconds_total=sum(row["seconds"] for row in outcome.history),
        stopped_because=outcome.stopped_because,
        weights_evaluated=recipe.training.keep,
        targets=[target for target in targets if target is not None],
    )


def _layer_rows(done: Finished) -> list[tuple[str | int, ...]]:
    return [
        (
            row.name,
            _times(row.in_shape),
            row.kernel,
            _times(row.out_shape),
            row.parameters,
            row.macs,
        )
        for row in layers(done.model, done.shape)
    ]


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(str(length) for length in shape)


def _checks(done: Finished) -> list[tuple[str, bool, str]]:
    measured = MeasuredRun(
        parameters=count_parameters(done.model),
        epochs=len(done.outcome.history),
        accuracy=done.metrics.accuracy,
        layers=layer_kinds(done.model),
    )
    checks = check_constraints(done.recipe.constraints, measured)
    return [(check.label, check.passed, check.detail) for check in checks]
