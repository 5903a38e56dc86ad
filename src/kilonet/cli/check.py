"""``kilonet check``."""

from __future__ import annotations

from typing import Annotated

import typer

from kilonet.cli.console import output
from kilonet.cli.options import FinishedRun
from kilonet.errors import UsageError


def check(
    run: FinishedRun,
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
) -> int:
    """Check a run against its recipe's constraints, or those given here; exit 1 if any fails."""
    from kilonet.cli.tables import print_checks
    from kilonet.runs.compliance import parse_constraints
    from kilonet.workflows.check import check as check_run

    given = {
        "max_parameters": max_parameters,
        "max_epochs": max_epochs,
        "min_accuracy": min_accuracy,
        "required_layers": require_layer or None,
    }
    checks = check_run(run, parse_constraints(given))
    if not checks:
        raise UsageError(
            f"{run} has no constraints to check. Give some, for example --max-parameters 20000."
        )
    print_checks(checks, output())
    return 0 if all(line.passed for line in checks) else 1
