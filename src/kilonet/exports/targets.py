"""What a network can be exported to, and what makes each.

A target is a function from a ``Job`` to what it ``Made``: files in memory, none written before all
are there. To add one, write its function beside those here and name it in ``TARGETS``; everything
else (the command, the checks, the report) goes by that table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kilonet.errors import UsageError, nearest
from kilonet.exports.aws.archive import unpacked_bytes
from kilonet.exports.aws.emit import function_files
from kilonet.exports.aws.platform import needed_glibc, remark, this_platform
from kilonet.exports.aws.run import FunctionNetwork
from kilonet.exports.c.emit import emit
from kilonet.exports.c.run import CompiledNetwork
from kilonet.exports.graph.interpret import Pixels
from kilonet.exports.graph.lower import load_onnx, lower
from kilonet.exports.graph.operators import LOGITS, UnsupportedOperatorError
from kilonet.exports.html import run as browser
from kilonet.exports.html.emit import page
from kilonet.exports.huggingface.emit import FolderNetwork, folder_files, pretrained_of
from kilonet.exports.int8.operators import QuantisedGraph
from kilonet.exports.int8.quantise import quantise
from kilonet.exports.onnx_graph import onnx_model
from kilonet.exports.onnx_runtime import OnnxNetwork, quantise_onnx
from kilonet.machine import find_compiler
from kilonet.recipe.families import CustomConfig

if TYPE_CHECKING:
    from torch import nn

    from kilonet.exports.verify import Network
    from kilonet.runs.directory import RunDirectory


@dataclass(frozen=True, eq=False)
class Job:
    """What is to be exported.

    ``onnx`` is the run's file; ``name`` begins the names of what is made; ``calibration`` are
    training images uint8 (N, C, H, W), None where nothing is to be quantised; ``mean`` and ``std``
    are those of training. ``run`` and its trained ``network`` are for what is not made of the file.
    """

    onnx: Path
    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    calibration: Pixels | None = None
    raw: bool = False
    run: RunDirectory | None = None
    network: nn.Module | None = None


Runner = Callable[[Path], "AbstractContextManager[Network | None]"]


@dataclass(frozen=True, eq=False)
class Made:
    """The files of an export, by name, and how to run them from the folder that they are in.

    ``running`` gives None where this machine cannot, and ``note`` then says why. ``budget`` is
    what the target states about itself, in bytes; ``remark`` is what a user must know of it.
    """

    files: Mapping[str, bytes]
    running: Runner
    budget: Mapping[str, int] = field(default_factory=dict)
    note: str | None = None
    remark: str | None = None


def to_onnx(job: Job) -> Made:
    """Return one ONNX file; in float it is the run's own where the typed list cannot say it."""
    name = f"{_stem(job)}{'-raw' if job.raw else ''}.onnx"
    content = _onnx(job).SerializeToString()
    return Made(
        {name: content},
        lambda folder: nullcontext(OnnxNetwork(folder / name, job.raw, job.mean, job.std)),
    )


def _onnx(job: Job) -> Any:
    try:
        graph = lower(job.onnx)
    except UnsupportedOperatorError:
        if job.raw or job.calibration is not None:
            raise
        return load_onnx(job.onnx)
    if job.calibration is not None:
        return quantise_onnx(graph, job.calibration)
    return onnx_model(graph, raw=job.raw)


def to_c(job: Job) -> Made:
    """Return one C99 header and one source, in float or, where there are images, in integers."""
    graph = lower(job.onnx)
    network = graph if job.calibration is None else quantise(graph, job.calibration)
    made = emit(network, _stem(job))
    scale = network.encodings[LOGITS].scale if isinstance(network, QuantisedGraph) else None
    compiler = find_compiler()

    def running(_: Path) -> AbstractContextManager[Network | None]:
        if compiler is None:
            return nullcontext(None)
        return CompiledNetwork(made, compiler, len(graph.classes), scale)

    return Made(
        {f"{made.name}.h": made.header.encode(), f"{made.name}.c": made.source.encode()},
        running,
        {
            "weight_bytes": made.weight_bytes,
            "arena_bytes": made.arena_bytes,
            "stack_bytes": made.stack_bytes,
        },
        None if compiler else "no C compiler (cc, gcc, clang) on this machine to run it with",
    )


def to_html(job: Job) -> Made:
    """Return one page, in float, that draws, reads and shows the layers without a server."""
    name = f"{job.name}.html"
    note = browser.why_not()

    def running(folder: Path) -> AbstractContextManager[Network | None]:
        return nullcontext(None) if note else browser.BrowserNetwork(folder / name)

    return Made({name: page(lower(job.onnx), job.name).encode()}, running, {}, note)


def to_lambda(job: Job) -> Made:
    """Return the archive of an AWS Lambda function that reads pictures, and its template."""
    here = this_platform()
    found = function_files(_onnx(job), job.name, here)
    archive = next(iter(found))
    return Made(
        found,
        lambda folder: FunctionNetwork(folder / archive),
        {"unpacked_bytes": unpacked_bytes(found[archive])},
        remark=remark(here, needed_glibc()),
    )


def to_huggingface(job: Job) -> Made:
    """Return a folder as the Hugging Face hub holds them: configuration, weights and model card."""
    assert job.run is not None and job.network is not None
    name, model = f"{job.name}-huggingface", job.run.recipe().model
    own = model.name if isinstance(model, CustomConfig) else None
    files = folder_files(pretrained_of(job.run, job.network), job.run)
    return Made(
        {f"{name}/{file}": content for file, content in files.items()},
        lambda folder: nullcontext(FolderNetwork(folder / name, own)),
    )


def _stem(job: Job) -> str:
    return f"{job.name}-int8" if job.calibration is not None else job.name


@dataclass(frozen=True)
class Target:
    """A target: what makes it, which of the command's switches it takes, if from the ONNX file."""

    make: Callable[[Job], Made]
    switches: frozenset[str] = frozenset()
    from_onnx: bool = True


TARGETS: Mapping[str, Target] = {
    "onnx": Target(to_onnx, frozenset({"int8", "raw"})),
    "c": Target(to_c, frozenset({"int8"})),
    "html": Target(to_html),
    "lambda": Target(to_lambda),
    "huggingface": Target(to_huggingface, from_onnx=False),
}


def find_target(name: str, *, int8: bool, raw: bool) -> Target:
    """Return the target called ``name``, if it takes the switches that are on.

    Raises:
        UsageError: there is no such target, it lacks a switch, or they contradict each other.
    """
    if name not in TARGETS:
        raise UsageError(
            f'There is no export target "{name}".{nearest(name, TARGETS)} '
            f"Known: {', '.join(TARGETS)}."
        )
    wanted = {switch for switch, on in {"int8": int8, "raw": raw}.items() if on}
    for switch in sorted(wanted - TARGETS[name].switches):
        takes = ", ".join(key for key, entry in TARGETS.items() if switch in entry.switches)
        raise UsageError(f"--{switch} is not for --to {name}, only for: {takes}. Leave it out.")
    if int8 and raw:
        raise UsageError(
            "--int8 and --raw contradict each other: a raw file has float input. Give one of them."
        )
    return TARGETS[name]
