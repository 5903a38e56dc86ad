"""The end of a run: final weights, the only evaluation on the test split, ONNX file, report."""

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
from kilonet.recipe.fingerprint import to_toml
from kilonet.recipe.schema import Recipe
from kilonet.report.facts import ReportFacts
from kilonet.report.tensorboard import Events
from kilonet.report.write import write_report
from kilonet.runs import layout
from kilonet.runs.constraints import MeasuredRun, check_constraints
from kilonet.runs.directory import RunDirectory
from kilonet.training.checkpoints import put_weights, save_weights
from kilonet.training.fit import Outcome


@dataclass(frozen=True)
class EvaluatedRun:
    """A trained network with its final weights, and its predictions on the test split.

    ``probabilities`` is float64, (N, K).
    """

    recipe: Recipe
    model: nn.Module
    outcome: Outcome
    dataset: Dataset
    probabilities: npt.NDArray[np.float64]
    metrics: Metrics

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Whether the prediction for each test image is correct, (N,)."""
        labels = self.dataset.test_labels.numpy()
        correct: npt.NDArray[np.bool_] = self.probabilities.argmax(axis=1) == labels
        return correct

    @property
    def final_epoch(self) -> int:
        """The epoch after which the network had its final weights."""
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
    """Write the files of a finished run and mark it finished; safe to repeat after a crash.

    ``events`` get the test metrics.
    """
    recipe = run.recipe()
    run.write_history(outcome.history)
    save_weights(run.file(layout.BEST), outcome.best)
    save_weights(run.file(layout.LAST), outcome.last)
    evaluated = _evaluate_on_test(recipe, model, outcome, dataset, device)
    run.write_json(layout.METRICS, _figures(evaluated))
    if events is not None:
        events.add_test(evaluated.metrics, evaluated.final_epoch)
    write_text(run.file(layout.SUMMARY), summary_text(evaluated.model, evaluated.shape, run.name))
    note = _export(run, evaluated)
    write_report(run.path, _facts(run, evaluated))
    return run.mark_finished(onnx_note=note)


def _evaluate_on_test(
    recipe: Recipe, model: nn.Module, outcome: Outcome, dataset: Dataset, device: torch.device
) -> EvaluatedRun:
    put_weights(model, outcome.final_weights(recipe))
    probabilities = predict_probabilities(
        model, dataset.test_images, dataset.mean, dataset.std, device=device
    )
    metrics = measure(probabilities, dataset.test_labels.numpy(), dataset.classes)
    return EvaluatedRun(recipe, model.cpu(), outcome, dataset, probabilities, metrics)


def _figures(evaluated: EvaluatedRun) -> dict[str, object]:
    return {
        "parameters": count_parameters(evaluated.model),
        "macs": total_macs(evaluated.model, evaluated.shape),
        "peak_activation_bytes": peak_activation_bytes(evaluated.model, evaluated.shape),
        "layers": sorted(layer_kinds(evaluated.model)),
        "dataset": evaluated.dataset.name,
        "epochs": len(evaluated.outcome.history),
        "best_epoch": evaluated.outcome.best_epoch,
        "stopped_because": evaluated.outcome.stopped_because,
        "weights": evaluated.recipe.training.keep,
        "test": evaluated.metrics.to_json(),
        "wrong": np.flatnonzero(~evaluated.correct).tolist(),  # for comparisons image by image
    }


def _export(run: RunDirectory, evaluated: EvaluatedRun) -> str | None:
    """Write ``model.onnx``; return the reason if a network of the user's own cannot be exported."""
    dataset = evaluated.dataset
    try:
        export_onnx(
            evaluated.model,
            run.file(layout.ONNX),
            evaluated.shape,
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


def _facts(run: RunDirectory, evaluated: EvaluatedRun) -> ReportFacts:
    recipe, dataset, outcome = evaluated.recipe, evaluated.dataset, evaluated.outcome
    targets = (recipe.constraints.min_accuracy, recipe.training.stop_at_accuracy)
    return ReportFacts(
        title=run.name,
        recipe_name=run.facts["recipe"],
        recipe_text=to_toml(recipe),
        dataset_title=dataset.title,
        dataset_name=dataset.name,
        dataset_note=run.facts["data_note"],
        parameters=count_parameters(evaluated.model),
        macs=total_macs(evaluated.model, evaluated.shape),
        activation_bytes=peak_activation_bytes(evaluated.model, evaluated.shape),
        layers=_layer_rows(evaluated),
        history=outcome.history,
        best_epoch=outcome.best_epoch,
        metrics=evaluated.metrics,
        classes=dataset.classes,
        test_images=dataset.test_images.numpy(),
        test_labels=dataset.test_labels.numpy(),
        probabilities=evaluated.probabilities,
        environment=run.facts["environment"],
        checks=_checks(evaluated),
        seconds_total=sum(row["seconds"] for row in outcome.history),
        stopped_because=outcome.stopped_because,
        weights_evaluated=recipe.training.keep,
        targets=[target for target in targets if target is not None],
    )


def _layer_rows(evaluated: EvaluatedRun) -> list[tuple[str | int, ...]]:
    return [
        (
            row.name,
            _shape_text(row.in_shape),
            row.kernel,
            _shape_text(row.out_shape),
            row.parameters,
            row.macs,
        )
        for row in layers(evaluated.model, evaluated.shape)
    ]


def _shape_text(shape: tuple[int, ...]) -> str:
    return "×".join(str(length) for length in shape)


def _checks(evaluated: EvaluatedRun) -> list[tuple[str, bool, str]]:
    measured = MeasuredRun(
        parameters=count_parameters(evaluated.model),
        epochs=len(evaluated.outcome.history),
        accuracy=evaluated.metrics.accuracy,
        layers=layer_kinds(evaluated.model),
    )
    checks = check_constraints(evaluated.recipe.constraints, measured)
    return [(check.label, check.passed, check.detail) for check in checks]
