"""The export targets and the files that each one makes.

A target is a function from an ``ExportRequest`` to ``ExportFiles``. The files are made in memory
and written only when all of them exist. The command, the checks and the report use ``TARGETS``.

To add a target, write its function here and add it to ``TARGETS``. Add a row to
``test_files_and_how_they_run`` in ``tests/exports/test_targets.py``, and a section to
``docs/exporting.md``. A new graph operator needs ``graph/operators.py``, ``graph/lower.py`` and
``graph/interpret.py``, and then each target. CONTRIBUTING.md has an example.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kilonet.errors import UsageError, nearest
from kilonet.exports.aws.archive import (
    function_files,
    remark,
    required_glibc,
    this_platform,
    unpacked_bytes,
)
from kilonet.exports.aws.run import FunctionNetwork
from kilonet.exports.c.boards import Board, project_files
from kilonet.exports.c.emit import CSource, emit
from kilonet.exports.c.run import CompiledNetwork
from kilonet.exports.graph.interpret import Pixels
from kilonet.exports.graph.lower import load_onnx, lower
from kilonet.exports.graph.operators import LOGITS, Graph, UnsupportedOperatorError
from kilonet.exports.html.browser import BrowserNetwork, why_no_browser
from kilonet.exports.html.document import page
from kilonet.exports.huggingface.folder import FolderNetwork, folder_files
from kilonet.exports.huggingface.pretrained import Pretrained
from kilonet.exports.int8.operators import QuantisedGraph
from kilonet.exports.int8.quantise import quantise
from kilonet.exports.onnx_graph import onnx_model, serialised
from kilonet.exports.onnx_runtime import OnnxNetwork, quantise_onnx
from kilonet.machine import find_compiler
from kilonet.recipe.families import CustomConfig

if TYPE_CHECKING:
    from kilonet.exports.verify import RunnableExport
    from kilonet.runs.directory import RunDirectory


@dataclass(frozen=True, eq=False)
class ExportRequest:
    """The network to export, and how.

    ``onnx`` is the run's ONNX file; file names begin with ``name``; ``mean`` and ``std`` are the
    normalisation of training. ``calibration`` is uint8 training images (N, C, H, W) to quantise
    with, None for a float export; ``raw`` leaves normalisation out of an ONNX file. ``run`` and
    ``pretrained``, which returns its trained network, are for targets that are not made from the
    ONNX file. ``board`` is the microcontroller for which C comes as a project.
    """

    onnx: Path
    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    calibration: Pixels | None = None
    raw: bool = False
    run: RunDirectory | None = None
    pretrained: Callable[[], Pretrained] | None = None
    board: Board | None = None

    @property
    def stem(self) -> str:
        """The file name without suffix; int8 exports end in "-int8"."""
        return self.name if self.calibration is None else f"{self.name}-int8"


Start = Callable[[Path], "AbstractContextManager[RunnableExport | None]"]


@dataclass(frozen=True, eq=False)
class ExportFiles:
    """The content of each file by name, and how to run the export.

    ``start`` takes the folder with the files and gives None where this machine cannot run them;
    ``not_runnable`` then says why. ``budget`` holds figures that the target reports, in bytes.
    ``remark`` is what a user must know about the files.
    """

    files: Mapping[str, bytes]
    start: Start
    budget: Mapping[str, int] = field(default_factory=dict)
    not_runnable: str | None = None
    remark: str | None = None


def to_onnx(request: ExportRequest) -> ExportFiles:
    """Return one ONNX file; the run's own file where the graph has no operator for a layer."""
    name = f"{request.stem}{'-raw' if request.raw else ''}.onnx"
    content = serialised(_onnx(request))

    def start(folder: Path) -> AbstractContextManager[RunnableExport]:
        return nullcontext(OnnxNetwork(folder / name, request.raw, request.mean, request.std))

    return ExportFiles({name: content}, start)


def _onnx(request: ExportRequest) -> Any:
    try:
        graph = lower(request.onnx)
    except UnsupportedOperatorError:
        if request.raw or request.calibration is not None:
            raise
        return load_onnx(request.onnx)
    if request.calibration is not None:
        return quantise_onnx(graph, request.calibration)
    return onnx_model(graph, raw=request.raw)


def to_c(request: ExportRequest) -> ExportFiles:
    """Return a C99 header and source, float or, with calibration images, 8-bit integers.

    With a board they are part of a project that builds for it.
    """
    code, network = c_source(request)
    scale = network.encodings[LOGITS].scale if isinstance(network, QuantisedGraph) else None
    compiler = find_compiler()

    def start(_: Path) -> AbstractContextManager[RunnableExport | None]:
        if compiler is None:
            return nullcontext(None)
        return CompiledNetwork(code, compiler, len(network.classes), scale)

    files = {f"{code.name}.h": code.header, f"{code.name}.c": code.source}
    if request.board is not None:
        folder = f"{request.stem}-{request.board.name}"
        project = project_files(request.board, code)
        files = {f"{folder}/{name}": content for name, content in project.items()}
    return ExportFiles(
        {name: content.encode("utf-8", "replace") for name, content in files.items()},
        start,
        {
            "weight_bytes": code.weight_bytes,
            "arena_bytes": code.arena_bytes,
            "stack_bytes": code.stack_bytes,
        },
        None if compiler else "no C compiler (cc, gcc, clang) on this machine to run it with",
    )


def c_source(request: ExportRequest) -> tuple[CSource, Graph | QuantisedGraph]:
    """Return the C of the network, and the graph that it computes.

    Raises:
        UnsupportedOperatorError: the C target lacks an operator.
    """
    graph = lower(request.onnx)
    calibration = request.calibration
    network = graph if calibration is None else quantise(graph, calibration)
    return emit(network, request.stem), network


def to_html(request: ExportRequest) -> ExportFiles:
    """Return one HTML page that draws, predicts and shows the layers without a server."""
    name = f"{request.name}.html"
    reason = why_no_browser()

    def start(folder: Path) -> AbstractContextManager[RunnableExport | None]:
        return nullcontext(None) if reason else BrowserNetwork(folder / name)

    return ExportFiles(
        {name: page(lower(request.onnx), request.name).encode("utf-8", "replace")},
        start,
        {},
        reason,
    )


def to_lambda(request: ExportRequest) -> ExportFiles:
    """Return the archive of an AWS Lambda function that classifies pictures, and its template."""
    here = this_platform()
    files = function_files(_onnx(request), request.name, here)
    archive = next(iter(files))
    return ExportFiles(
        files,
        lambda folder: FunctionNetwork(folder / archive),
        {"unpacked_bytes": unpacked_bytes(files[archive])},
        remark=remark(here, required_glibc()),
    )


def to_huggingface(request: ExportRequest) -> ExportFiles:
    """Return a folder for the Hugging Face hub: configuration, weights and model card."""
    assert request.pretrained is not None
    pretrained, name = request.pretrained(), f"{request.name}-huggingface"
    own = pretrained.network if isinstance(pretrained.model, CustomConfig) else None
    files = folder_files(pretrained, request.run)
    return ExportFiles(
        {f"{name}/{file}": content for file, content in files.items()},
        lambda folder: nullcontext(FolderNetwork(folder / name, copy.deepcopy(own))),
    )


@dataclass(frozen=True)
class ExportTarget:
    """A target: its function, the options it takes, and whether it reads the run's ONNX file."""

    make: Callable[[ExportRequest], ExportFiles]
    options: frozenset[str] = frozenset()
    from_onnx: bool = True


TARGETS: Mapping[str, ExportTarget] = {
    "onnx": ExportTarget(to_onnx, frozenset({"int8", "raw"})),
    "c": ExportTarget(to_c, frozenset({"int8", "target"})),
    "html": ExportTarget(to_html),
    "lambda": ExportTarget(to_lambda),
    "huggingface": ExportTarget(to_huggingface, from_onnx=False),
}


def find_target(name: str, *, int8: bool, raw: bool, board: Board | None = None) -> ExportTarget:
    """Return the target called ``name``."""
    if name not in TARGETS:
        raise UsageError(
            f'There is no export target "{name}".{nearest(name, TARGETS)} '
            f"Known: {', '.join(TARGETS)}."
        )
    requested = {option for option, on in {"int8": int8, "raw": raw, "target": board}.items() if on}
    for option in sorted(requested - TARGETS[name].options):
        takes = ", ".join(key for key, target in TARGETS.items() if option in target.options)
        raise UsageError(f"--{option} is not for --to {name}, only for: {takes}. Leave it out.")
    if int8 and raw:
        raise UsageError(
            "--int8 and --raw contradict each other: a raw file has float input. Give one of them."
        )
    return TARGETS[name]
