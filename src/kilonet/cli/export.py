"""``kilonet export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kilonet.cli.common import (
    AnyNetwork,
    AsJson,
    DataDir,
    Flag,
    OtherData,
    OwnModel,
    print_json,
    print_line,
    print_table,
)
from kilonet.extras import require


def export(
    run: AnyNetwork,
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="TARGET", help="The target: onnx, c, html, lambda or huggingface."
        ),
    ],
    int8: Annotated[
        bool, Flag("--int8", help="Quantise to 8-bit integers, calibrated on training images.")
    ] = False,
    raw: Annotated[
        bool, Flag("--raw", help="ONNX with normalised float input and one output, the logits.")
    ] = False,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar="BOARD",
            help="C as a project for cortex-m0, cortex-m3, cortex-m4, rv32 or avr.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder for the files (default: RUN/export)."),
    ] = None,
    data: OtherData = None,
    data_dir: DataDir = None,
    model: OwnModel = None,
    as_json: AsJson = False,
) -> None:
    """Export a trained network to a file or folder, and verify it."""
    require("train")
    from kilonet.cli.tables import export_table
    from kilonet.workflows.export import export as export_run

    result = export_run(
        run,
        to,
        int8=int8,
        raw=raw,
        out=out,
        data=data,
        data_dir=data_dir,
        model=model,
        board=target,
    )
    if as_json:
        print_json(result.to_json())
        return
    print_table(export_table(result))
    if result.note:
        print_line(f"Note: {result.note}.")
    print_line(f"Report: {result.report}")
