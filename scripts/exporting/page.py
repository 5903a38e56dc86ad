"""The text of ``docs/exporting.md``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from exporting.measured import Exported, Form
from rendering import render
from reproduction.words import NONE, plural, table

LAMBDA = "lambda"
TITLES = {
    "onnx": "ONNX",
    "onnx-raw": "ONNX, raw",
    "onnx-int8": "ONNX, int8",
    "c": "C, float",
    "c-int8": "C, int8",
    "html": "HTML page",
    LAMBDA: "Lambda archive",
}


def exporting(found: Sequence[Exported]) -> str:
    """Return the page."""
    return render(
        Path(__file__).with_name("page.md.j2"),
        found=found,
        comparison=_comparison(found),
        sizes=_sizes(found),
        lambdas=[
            form for exported in found[-1:] for form in exported.forms if form.target == LAMBDA
        ],
    )


def _comparison(found: Sequence[Exported]) -> str:
    headings = ["network", "form", "same label", "largest logit difference", "accuracy, %"]
    headings += ["PyTorch's, %", "one picture, ms", "faster than eager PyTorch"]
    rows = [
        [_network(exported), TITLES[form.target], *_figures(form)]
        for exported in found
        for form in exported.forms
    ]
    return table(headings, rows, texts=(0, 1))


def _network(exported: Exported) -> str:
    return f"`{exported.recipe}`, {plural(exported.epochs, 'epoch')}"


def _figures(form: Form) -> list[str]:
    seen = form.verification
    return [
        f"{seen.same_labels:,} of {seen.images:,}",
        f"{seen.largest_logit_difference:.1e}",
        f"{100 * seen.accuracy:.2f}",
        f"{100 * seen.pytorch_accuracy:.2f}",
        f"{seen.milliseconds:.3f}",
        f"{seen.pytorch_milliseconds / seen.milliseconds:.1f}×",
    ]


def _sizes(found: Sequence[Exported]) -> str:
    headings = ["network", "parameters", "form", "files, bytes", "flash for weights, bytes"]
    headings += ["RAM, bytes", "stack, bytes, about"]
    rows = [
        [
            _network(exported),
            f"{exported.parameters:,}",
            TITLES[form.target],
            f"{sum(form.bytes.values()):,}",
            *_budget(form),
        ]
        for exported in found
        for form in exported.forms
    ]
    return table(headings, rows, texts=(0, 2))


def _budget(form: Form) -> list[str]:
    keys = ("weight_bytes", "arena_bytes", "stack_bytes")
    return [f"{form.budget[key]:,}" if key in form.budget else NONE for key in keys]
