"""The end of a run: final weights, the only evaluation on the test split, ONNX file, report."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from kilonet.data.dataset import Dataset
from kilonet.errors import KilonetError, MissingExtraError
from kilonet.evaluation.metrics import measure
from kilonet.evaluation.predict import predict_probabilities
from kilonet.exports.onnx import export_onnx
from kilonet.files import write_text
from kilonet.metadata import pack_classes
from kilonet.models.measure import layer_kinds
from kilonet.models.summary import summary_text
from kilonet.report.facts import EvaluatedRun
from kilonet.report.tensorboard import Events
from kilonet.report.write import write_report
from kilonet.runs import layout
from kilonet.runs.directory import RunDirectory
from kilonet.training.checkpoints import put_weights, save_weights
from kilonet.training.fit import Outcome


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
    run.write_history(outcome.history)
    save_weights(run.file(layout.BEST), outcome.best)
    save_weights(run.file(layout.LAST), outcome.last)
    evaluated = _evaluate_on_test(run, model, outcome, dataset, device)
    run.write_json(layout.METRICS, _figures(evaluated))
    if events is not None:
        events.add_test(evaluated.metrics, evaluated.final_epoch)
    write_text(run.file(layout.SUMMARY), summary_text(evaluated.model, evaluated.shape, run.name))
    note = _export(run, evaluated)
    write_report(run.path, evaluated)
    return run.mark_finished(onnx_note=note)


def _evaluate_on_test(
    run: RunDirectory, model: nn.Module, outcome: Outcome, dataset: Dataset, device: torch.device
) -> EvaluatedRun:
    recipe = run.recipe()
    put_weights(model, outcome.final_weights(recipe))
    probabilities = predict_probabilities(
        model, dataset.test_images, dataset.mean, dataset.std, device=device
    )
    metrics = measure(probabilities, dataset.test_labels.numpy(), dataset.classes)
    return EvaluatedRun(
        run.name, run.facts, recipe, model.cpu(), outcome, dataset, probabilities, metrics
    )


def _figures(evaluated: EvaluatedRun) -> dict[str, object]:
    return {
        "parameters": evaluated.parameters,
        "macs": evaluated.macs,
        "peak_activation_bytes": evaluated.activation_bytes,
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
