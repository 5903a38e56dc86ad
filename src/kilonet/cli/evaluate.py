"""``kilonet evaluate``, ``kilonet check`` and ``kilonet compare``: measure finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kilonet.cli.common import (
    AnyNetwork,
    AsJson,
    DataDir,
    FinishedRun,
    Flag,
    OtherData,
    OwnModel,
    SafeConsole,
    output,
    print_json,
    print_line,
    print_table,
    require_with,
)
from kilonet.errors import UsageError
from kilonet.extras import require
from kilonet.progress import Reporter

if TYPE_CHECKING:
    from kilonet.evaluation.metrics import Metrics
    from kilonet.workflows.robustness import RobustnessReport


def evaluate(
    run: AnyNetwork,
    data: OtherData = None,
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
    """Evaluate a trained network on a test split, with its own images or distorted ones."""
    robustness_options = {"images": images, "validation": validation or None, "out": out}
    require_with("robustness", robustness, robustness_options)
    require("train")
    if robustness:
        from kilonet.cli.reporter import progress
        from kilonet.workflows.robustness import robustness as evaluate_distorted

        with progress() as reporter:
            report = evaluate_distorted(
                run,
                data=data,
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

    metrics = evaluate_run(
        run, data=data, data_dir=data_dir, device=device, model=model, reporter=_Notes()
    )
    _print_metrics(metrics, run, as_json)


class _Notes(Reporter):
    """Prints messages on standard error, beside the results."""

    def message(self, text: str) -> None:
        """Print a line."""
        SafeConsole(stderr=True, highlight=False, markup=False).print(text, soft_wrap=True)


def _print_metrics(metrics: Metrics, run: str, as_json: bool) -> None:
    from kilonet.cli.tables import metrics_table

    if as_json:
        print_json(metrics.to_json())
    else:
        print_table(metrics_table(metrics, run))


def _print_robustness(report: RobustnessReport, as_json: bool) -> None:
    from kilonet.cli.tables import robustness_table

    if as_json:
        print_json(report.to_json())
        return
    print_table(robustness_table(report))
    for file in report.files:
        print_line(f"Wrote {file}")
    if not report.files:
        print_line("Not stored: this is no run of yours. --out DIR stores it.")


def check(
    run: AnyNetwork,
    max_parameters: Annotated[
        int | None,
        typer.Option("--max-parameters", metavar="N", help="Maximum number of parameters."),
    ] = None,
    max_epochs: Annotated[
        int | None, typer.Option("--max-epochs", metavar="N", help="Maximum number of epochs.")
    ] = None,
    min_accuracy: Annotated[
        float | None,
        typer.Option(
            "--min-accuracy", metavar="X", help="Minimum test accuracy, a fraction such as 0.994."
        ),
    ] = None,
    require_layer: Annotated[
        list[str] | None,
        typer.Option(
            "--require-layer",
            metavar="KIND",
            help="A layer that the network must have: batch-norm, dropout or "
            "global-average-pooling; can be repeated.",
        ),
    ] = None,
    data: OtherData = None,
    data_dir: DataDir = None,
    model: OwnModel = None,
) -> int:
    """Check a network against its recipe's constraints, or those given; exit 1 if any fails."""
    from kilonet.cli.tables import print_checks
    from kilonet.runs.constraints import parse_constraints
    from kilonet.workflows.evaluate import check as check_run

    given = {
        "max_parameters": max_parameters,
        "max_epochs": max_epochs,
        "min_accuracy": min_accuracy,
        "required_layers": require_layer or None,
    }
    checks = check_run(run, parse_constraints(given), data=data, data_dir=data_dir, model=model)
    if not checks:
        raise UsageError(
            f"{run} has no constraints to check. Give some, for example --max-parameters 20000."
        )
    print_checks(checks, output())
    return 0 if all(line.passed for line in checks) else 1


def compare(
    first: FinishedRun, second: FinishedRun, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Compare two runs on the same test images, with a significance test."""
    require("train")
    from kilonet import compare as compare_runs
    from kilonet.cli.tables import comparison_table

    comparison = compare_runs(first, second, data_dir=data_dir)
    if as_json:
        print_json(comparison.to_json())
        return
    print_table(comparison_table(comparison))
    print_line(comparison.answer)
