"""``kilonet benchmark``."""

from __future__ import annotations

from typing import Annotated

import typer

from kilonet.cli.common import (
    AsJson,
    DataDir,
    FinishedRun,
    OwnModel,
    print_json,
    print_line,
    print_table,
)
from kilonet.extras import require


def benchmark(
    run: FinishedRun,
    on: Annotated[
        list[str],
        typer.Option(
            "--on",
            metavar="BOARD",
            help="Microcontroller to emulate: cortex-m0, cortex-m3, cortex-m4, rv32 or avr; qemu "
            "for all. Repeat it for several.",
        ),
    ],
    images: Annotated[
        int, typer.Option("--images", metavar="N", help="Test images to classify.")
    ] = 10,
    data_dir: DataDir = None,
    model: OwnModel = None,
    as_json: AsJson = False,
) -> None:
    """Measure a finished run's int8 C on emulated microcontrollers."""
    require("train")
    from kilonet.cli.tables import benchmark_table
    from kilonet.workflows.benchmark import benchmark as run_benchmark

    result = run_benchmark(run, on=on, images=images, data_dir=data_dir, model=model)
    if as_json:
        print_json(result.to_json())
        return
    print_table(benchmark_table(result))
    for board, reason in result.skipped.items():
        print_line(f"Not measured: {board}. {reason}")
