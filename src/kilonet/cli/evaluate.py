"""``kilonet evaluate``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from kilonet.cli.console import show
from kilonet.cli.options import AsJson, DataDir, FinishedRun, OwnModel
from kilonet.extras import require


def evaluate(
    run: FinishedRun,
    data: Annotated[
        str | None, typer.Option("--data", metavar="NAME", help="Another data set's test split.")
    ] = None,
    data_dir: DataDir = None,
    device: Annotated[
        str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda or mps.")
    ] = "auto",
    model: OwnModel = None,
    as_json: AsJson = False,
) -> None:
    """Measure a finished run's network on a test split."""
    require("train")
    from kilonet.api.evaluate import evaluate as measured
    from kilonet.api.show import metrics_table

    metrics = measured(run, data=data, data_dir=data_dir, device=device, model=model)
    if as_json:
        typer.echo(json.dumps(metrics.to_json(), indent=1, ensure_ascii=False))
    else:
        show(metrics_table(metrics, run))
