"""Benchmarks of a trained network: what it needs and computes on microcontrollers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kilonet.errors import KilonetError, UsageError
from kilonet.exports.c.boards import BOARDS, Board, find_board
from kilonet.exports.c.emulate import Measurement, measure
from kilonet.exports.graph.operators import LOGITS
from kilonet.exports.int8.interpret import interpret_int8
from kilonet.exports.int8.operators import QuantisedGraph
from kilonet.exports.targets import c_source
from kilonet.extras import require
from kilonet.workflows.data import DataSource, data_for
from kilonet.workflows.export import export_request
from kilonet.workflows.source import find_source

if TYPE_CHECKING:
    from torch import nn

    from kilonet.workflows.source import Source

ALL_BOARDS = "qemu"
IMAGES = 10


@dataclass(frozen=True)
class BoardResult:
    """The int8 export of a network on one microcontroller.

    ``flash``, ``static_ram`` and ``stack`` are bytes: see ``exports.c.emulate.Measurement``.
    ``ticks`` is the mean of one image, in instructions or cycles, as ``unit`` says.
    ``wrong_labels`` and ``wrong_logits`` count the images that differ from the NumPy reference.
    """

    board: str
    flash: int
    static_ram: int
    stack: int
    ram: int
    ticks: int
    unit: str
    correct: int
    wrong_labels: int
    wrong_logits: int


@dataclass(frozen=True)
class Benchmark:
    """The results of a network on each board; ``skipped`` says why there is none for others."""

    model: str
    images: int
    boards: tuple[BoardResult, ...]
    skipped: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return all figures, ready for ``json.dump``."""
        return asdict(self)


def benchmark(
    source: Source,
    *,
    data: DataSource | None = None,
    on: str | Sequence[str] = ALL_BOARDS,
    images: int = IMAGES,
    data_dir: str | Path | None = None,
    model: nn.Module | str | None = None,
) -> Benchmark:
    """Run the int8 C of a network on emulated microcontrollers, and measure it.

    ``on`` is "qemu", for all boards whose compiler and emulator are on this machine, or names of
    boards. The first ``images`` of the test split are classified. ``source`` and ``data``
    are those of ``evaluate``. ``model`` is the run's own class, or an object of it, if its network
    is one.

    Raises:
        UsageError: there is no such run or board, or ``images`` is no positive number.
        KilonetError: no board can be emulated here, or the network fits none.
        DataError: the data set is not on this machine.
    """
    names = [on] if isinstance(on, str) else list(on)
    boards = list(BOARDS.values()) if names == [ALL_BOARDS] else [find_board(n) for n in names]
    if images < 1:
        raise UsageError(f"A benchmark needs at least 1 image, not {images}.")
    require("train")
    found = find_source(source, model, taker="benchmark")
    dataset = data_for(found, data, data_dir)
    info = found.info_for(dataset.info)
    with found.onnx_file(info) as onnx:
        code, graph = c_source(export_request(found, info, onnx, dataset))
    assert isinstance(graph, QuantisedGraph)
    pixels, labels = dataset.test_images[:images].numpy(), dataset.test_labels[:images].numpy()
    expected = interpret_int8(graph, pixels)[LOGITS]
    results, skipped = [], {}
    for board in boards:
        try:
            measured = measure(board, code, pixels)
        except KilonetError as error:
            skipped[board.name] = str(error)
            continue
        results.append(_result(board, measured, expected, labels))
    if not results:
        raise KilonetError(next(iter(skipped.values())))
    return Benchmark(found.name, len(pixels), tuple(results), skipped)


def _result(board: Board, found: Measurement, expected: Any, labels: Any) -> BoardResult:
    return BoardResult(
        board.name,
        found.flash,
        found.static_ram,
        found.stack,
        found.ram,
        round(found.ticks),
        board.tick,
        int((found.labels == labels).sum()),
        int((found.labels != expected.argmax(1)).sum()),
        int((found.logits != expected).any(1).sum()),
    )
