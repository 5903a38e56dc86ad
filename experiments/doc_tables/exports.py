"""The tables of ``docs/exporting.md``, from what ``measure_exports.py`` stored."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError

from doc_tables.markdown import NONE, plural, table
from kilonet.errors import UsageError

TITLES = {
    "onnx": "ONNX",
    "onnx-raw": "ONNX, raw",
    "onnx-int8": "ONNX, int8",
    "c": "C, float",
    "c-int8": "C, int8",
    "html": "HTML page",
    "lambda": "Lambda archive",
}


class Layout(BaseModel):
    """A part of the file; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Verification(Layout):
    """An export compared with PyTorch on the test split (see ``kilonet.exports.verify``)."""

    images: PositiveInt
    same_labels: int
    largest_logit_difference: float
    accuracy: float
    pytorch_accuracy: float
    milliseconds: float
    pytorch_milliseconds: float


class Form(Layout):
    """One exported form of a network."""

    target: str
    model: str
    bytes: dict[str, PositiveInt]
    budget: dict[str, int]
    verification: Verification
    note: str | None


class Repeated(Layout):
    """When one form was measured again, and with which versions."""

    date: str
    environment: dict[str, str]


class Exported(Layout):
    """All forms of one run's network, and what the command printed for C in int8."""

    recipe: str
    run: str
    parameters: PositiveInt
    epochs: PositiveInt
    forms: list[Form]
    printed: str
    date: str
    environment: dict[str, str]
    again: dict[str, Repeated] = {}

    @property
    def title(self) -> str:
        """The recipe and its epochs."""
        return f"`{self.recipe}`, {plural(self.epochs, 'epoch')}"


def read_exported(results: Path) -> list[Exported]:
    """Return all stored exports, by the number of parameters.

    Raises:
        UsageError: a file is not what ``measure_exports.py`` writes.
    """
    found = [_read(path) for path in sorted(results.glob("export-*.json"))]
    return sorted(found, key=lambda exported: exported.parameters)


def _read(path: Path) -> Exported:
    try:
        return Exported.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(f"{path}: {place}: {first['msg']}. Measure the exports again.") from None


def forms(results: Path, target: str) -> list[tuple[Exported, Form]]:
    """Return the form ``target`` of every network that was exported so."""
    return [(e, form) for e in read_exported(results) for form in e.forms if form.target == target]


def example(results: Path) -> str:
    """Return the command that exports the largest network to C, and its output."""
    found = read_exported(results)[-1]
    return f"```\n$ kilonet export {found.run} --to c --int8\n{found.printed}\n```"


def measurement(results: Path) -> str:
    """Return when, where and with which versions the exports were measured."""
    found = read_exported(results)[-1]
    times = {"all forms": Repeated(date=found.date, environment=found.environment), **found.again}
    rows = [
        [
            f"`{form}`, again" if form in found.again else form, when.date,
            f"{when.environment['cores']} cores of {when.environment['processor']}",
            when.environment["platform"], when.environment["torch"],
        ]
        for form, when in times.items()
    ]  # fmt: skip
    return table(["forms", "date", "processor", "platform", "PyTorch"], rows, left=range(5))


def agreement(results: Path) -> str:
    """Return how each export agrees with PyTorch, and its time for one picture."""
    headings = ["network", "form", "same label", "largest logit difference", "accuracy, %"]
    headings += ["PyTorch's, %", "one picture, ms", "faster than eager PyTorch"]
    rows = [
        [exported.title, TITLES[form.target], *_figures(form.verification)]
        for exported in read_exported(results)
        for form in exported.forms
    ]
    return table(headings, rows, left=(0, 1))


def _figures(found: Verification) -> list[str]:
    return [
        f"{found.same_labels:,} of {found.images:,}",
        f"{found.largest_logit_difference:.1e}",
        f"{100 * found.accuracy:.2f}",
        f"{100 * found.pytorch_accuracy:.2f}",
        f"{found.milliseconds:.3f}",
        f"{found.pytorch_milliseconds / found.milliseconds:.1f}×",
    ]


def sizes(results: Path) -> str:
    """Return the bytes that each export takes on disk, in flash, in RAM and on the stack."""
    headings = ["network", "parameters", "form", "files, bytes", "flash for weights, bytes"]
    headings += ["RAM, bytes", "stack, bytes, about"]
    rows = [
        [
            exported.title, f"{exported.parameters:,}", TITLES[form.target],
            f"{sum(form.bytes.values()):,}", *_budget(form),
        ]
        for exported in read_exported(results)
        for form in exported.forms
    ]  # fmt: skip
    return table(headings, rows, left=(0, 2))


def _budget(form: Form) -> list[str]:
    keys = ("weight_bytes", "arena_bytes", "stack_bytes")
    return [f"{form.budget[key]:,}" if key in form.budget else NONE for key in keys]


def archives(results: Path) -> str:
    """Return the size of the largest network's Lambda archive, packed and unpacked."""
    _, form = forms(results, "lambda")[-1]
    sizes = (max(form.bytes.values()), form.budget["unpacked_bytes"])
    rows = [[f"`{form.model}`", *(f"{size:,}" for size in sizes)]]
    return table(["network", "archive, bytes", "unpacked, bytes"], rows, left=(0,))
