"""``kilonet evaluate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kilonet.cli.console import say, show
from kilonet.cli.options import AsJson, DataDir, FinishedRun, Flag, OwnModel
from kilonet.errors import UsageError
from kilonet.extras import require

if TYPE_CHECKING:
    from kilonet.evaluation.metrics import Metrics
    from kilonet.workflows.robustness import RobustnessReport


def evaluate(
    run: FinishedRun,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="NAME", help="Use the test split of another data set."),
    ] = None,
    robustness: Annotated[
        bool, Flag("--robustness", help="Use distorted images, by kind and strength.")
    ] = False,
    images: Annotated[
        int | None,
        typer.Option("--images", metavar="N", help="Number of images to distort (default: 1000)."),
    ] = None,
    validation: Annotated[
        bool,
        Flag(
            "--validation",
            help="Distort validation images, so that the results may guide decisions.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Folder for robustness.json and robustness.png (default: the run's).",
        ),
    ] = None,
    data_dir: DataDir = None,
    device: Annotated[
        str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda or mps.")
    ] = "auto",
    model: OwnModel = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate a finished run on a test split, with its own images or distorted ones."""
    robustness_options = {"images": images, "validation": validation or None, "out": out}
    _check_together(robustness, {**robustness_options, "data": data})
    require("train")
    if robustness:
        from kilonet.cli.reporter import progress
        from kilonet.workflows.robustness import robustness as evaluate_distorted

        with progress() as reporter:
            report = evaluate_distorted(
                run,
                images=images,
                validation=validation,
                out=out,
                data_dir=data_dir,
                device=device,
                model=model,
                reporter=reporter,
            )
        _print_robustness(report, as_json)
        return
    from kilonet.workflows.evaluate import evaluate as evaluate_run

    metrics = evaluate_run(run, data=data, data_dir=data_dir, device=device, model=model)
    _print_metrics(metrics, run, as_json)


def _check_together(robustness: bool, options: dict[str, object]) -> None:
    given = [name for name, value in options.items() if value is not None]
    if robustness and "data" in given:
        raise UsageError("--robustness distorts the run's own data set. Leave out --data.")
    if not robustness and given not in ([], ["data"]):
        raise UsageError(
            f"--{given[0]} belongs to --robustness. Add --robustness, or leave it out."
        )


def _print_metrics(metrics: Metrics, run: str, as_json: bool) -> None:
    from kilonet.cli.tables import metrics_table

    if as_json:
        _print_json(metrics.to_json())
    else:
        show(metrics_table(metrics, run))


def _print_robustness(report: RobustnessReport, as_json: bool) -> None:
    from kilonet.cli.tables import robustness_table

    if as_json:
        _print_json(report.to_json())
        return
    show(robustness_table(report))
    for file in report.files:
        say(f"Wrote {file}")
    if not report.files:
        say("Not stored: the model is part of the installed package. Give a folder with --out.")


def _print_json(content: dict[str, Any]) -> None:
    typer.echo(json.dumps(content, indent=1, ensure_ascii=False))
