"""``kilonet train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kilonet.cli.console import output
from kilonet.cli.options import DataDir, Flag, OwnModel
from kilonet.errors import UsageError
from kilonet.extras import require
from kilonet.machine import limit_openmp_spinning
from kilonet.recipe.catalog import DEFAULT_RECIPE


def train(
    recipe: Annotated[
        str | None,
        typer.Argument(
            metavar="RECIPE|FILE.toml",
            help=f"What to train: a shipped recipe or a file of your own (default: "
            f"{DEFAULT_RECIPE}).",
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE...",
            help="Keys to change, such as optimizer.lr=0.05; KEY=off unsets an optional one.",
        ),
    ] = None,
    data_dir: DataDir = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="The run's directory (default: the next runs/RECIPE-N)."
        ),
    ] = None,
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="RUN", help="Go on with an interrupted run.")
    ] = None,
    model: OwnModel = None,
    workers: Annotated[
        str | None,
        typer.Option(
            "--workers",
            metavar="N|auto",
            help="Processes that share each batch: the key training.workers (default: 1).",
        ),
    ] = None,
    profile: Annotated[
        bool, Flag("--profile", help="Also show where the time goes, and what would be possible.")
    ] = False,
) -> None:
    """Train a recipe; writes a run's directory with weights, plots and a report."""
    words = ([recipe] if recipe is not None else []) + (overrides or [])
    name, changes = split_words(words)
    _check_together(words, {"--out": out, "--workers": workers}, resume, model)
    if workers is not None:
        changes.append(f"training.workers={workers}")
    require("train")
    limit_openmp_spinning()
    from kilonet.cli.reporter import ConsoleReporter
    from kilonet.cli.tables import print_outcome, profile_tables
    from kilonet.workflows import train as api
    from kilonet.workflows.team import assist_torchrun, is_assistant

    if is_assistant():
        assist_torchrun()
        return
    console = output()
    with ConsoleReporter(console) as reporter:
        shared: dict[str, Any] = {"data_dir": data_dir, "profile": profile, "reporter": reporter}
        if resume is not None:
            run = api.resume(resume, model=model, **shared)
        else:
            run = api.train(name, overrides=changes, out=out, **shared)
    if run.profile is not None:
        console.print(profile_tables(run.profile), soft_wrap=True)
    print_outcome(run, console)


def split_words(words: list[str]) -> tuple[str, list[str]]:
    """Tell the recipe from the overrides: the recipe is the one word without an equals sign."""
    recipes = [word for word in words if "=" not in word]
    if len(recipes) > 1:
        raise UsageError(
            f'One recipe at a time: got "{recipes[0]}" and "{recipes[1]}". '
            "Keys are changed as KEY=VALUE, without spaces."
        )
    return (recipes or [DEFAULT_RECIPE])[0], [word for word in words if "=" in word]


def _check_together(
    words: list[str], options: dict[str, object], resume: str | None, model: str | None
) -> None:
    if resume is None:
        if model is not None:
            raise UsageError(
                "--model belongs to --resume. A new run takes its network from its recipe: "
                f"model.name={model}"
            )
        return
    given = [f"{name} {value}" for name, value in options.items() if value is not None]
    for extra in [*words, *given][:1]:
        raise UsageError(
            f'--resume goes on with a run as it is; "{extra}" would change it. Leave it out.'
        )
