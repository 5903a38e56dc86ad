"""The card of a trained network: what it is, what it reached, and how to use it."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kilonet import __version__
from kilonet.data.registry import spec
from kilonet.data.specs import DIGITS
from kilonet.exports.huggingface.pretrained import Pretrained
from kilonet.models.measure import (
    count_parameters,
    peak_activation_bytes,
    running_statistics,
    total_macs,
)
from kilonet.runs.directory import RunDirectory
from kilonet.runs.find import card_in

HEADER = "header.yaml.j2"
BODY = "card.md.j2"


def exported_card(of: Pretrained, run: RunDirectory | None) -> str:
    """Return the ``README.md`` of an exported folder, the hub's metadata first.

    ``run`` is the run that trained it; without one there are no test figures.
    """
    facts = {**_facts(of, run), "ships_onnx": False}
    return _render(HEADER, facts) + _render(BODY, facts)


def shipped_card(of: Pretrained, run: RunDirectory) -> str:
    """Return the ``README.md`` of a model that ships, beside its ONNX file."""
    return _render(BODY, {**_facts(of, run), "ships_onnx": True})


def _facts(of: Pretrained, run: RunDirectory | None) -> dict[str, Any]:
    return {
        "name": of.name,
        "version": __version__,
        "parameters": count_parameters(of.network),
        "running": running_statistics(of.network),
        "macs": total_macs(of.network, of.input_shape),
        "peak_activation_bytes": peak_activation_bytes(of.network, of.input_shape),
        "shape": "×".join(map(str, of.input_shape)),
        "mean": _numbers(of.mean),
        "std": _numbers(of.std),
        "classes": of.classes,
        "reads_digits": of.classes == DIGITS,
        **(_of_run(run) if run is not None else _of_no_run()),
    }


def _of_run(run: RunDirectory) -> dict[str, Any]:
    recipe, card = run.recipe(), card_in(run.path)
    data, held = run.data_info(), recipe.data.validation
    accuracies = [each.test_correct / each.test_total for each in card.seeds] if card else []
    return {
        "recipe": run.facts["recipe"],
        "commit": run.facts["environment"]["commit"],
        "training_data": f"{1 - held:.0%} of the training images"
        if held
        else "all training images",
        "dataset": data.name,
        "data_title": data.title,
        # Whose a folder's pictures are is not known here.
        "data_licence": None if data.fingerprint else spec(data.name).licence,
        "test": run.metrics()["test"],
        "card": card,
        "mean_of_seeds": fmean(accuracies) if card else None,
    }


def _of_no_run() -> dict[str, Any]:
    absent = ("recipe", "commit", "training_data", "dataset", "data_licence", "test", "card")
    return {**dict.fromkeys(absent), "data_title": "images"}


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def _render(template: str, facts: dict[str, Any]) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.get_template(template).render(**facts)
