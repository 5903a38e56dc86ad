"""``kilonet check``."""

from __future__ import annotations

from typing import Annotated

import typer

from kilonet.cli.console import output
from kilonet.errors import UsageError


def check(
    run: Annotated[str, typer.Argument(help="A finished run: its name or its directory.")],
    max_parameters: Annotated[
        int | None, typer.Option(help="Most parameters the network may have.")
    ] = None,
    max_epochs: Annotated[int | None, typer.Option(help="Most epochs it may have taken.")] = None,
    min_accuracy: Annotated[
        float | None, typer.Option(help="Least test accuracy, a fraction such as 0.994.")
    ] = None,
    require_layer: Annotated[
        list[str] | None,
        typer.Option(help="A layer it must contain: batch-norm, dropout, global-average-pooling."),
    ] = None,
) -> int:
    """Hold a run against its recipe's constraints, or those given here; exit 1 if any fails."""
    from kilonet.api.check import check as checklist
    from kilonet.recipe.constraints import parse_constraints

    given = {
        "max_parameters": max_parameters,
        "max_epochs": max_epochs,
        "min_accuracy": min_accuracy,
        "required_layers": require_layer or None,
    }
    checks = checklist(run, parse_constraints(given))
    if not checks:
        raise UsageError(
            f"{run} has no constraints to check. Give some, for example --max-parameters 20000."
        )
    console = output()
    for line in checks:
        mark = "[green]✓[/]" if line.passed else "[red]✗[/]"
        console.print(f"{mark} {line.label}: {line.detail}", highlight=False)
    return 0 if all(line.passed for line in checks) else 1
