"""``kilonet train`` and ``kilonet lr-find``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kilonet.cli.common import DataDir, Flag, OwnModel, output, print_line, split_words
from kilonet.errors import UsageError
from kilonet.extras import require
from kilonet.recipe.catalog import DEFAULT_RECIPE


def train(
    recipe: Annotated[
        str | None,
        typer.Argument(
            metavar="RECIPE|FILE.toml",
            help=f"A shipped recipe or a file of your own (default: {DEFAULT_RECIPE}).",
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
        str | None, typer.Option("--resume", metavar="RUN", help="Resume an interrupted run.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="Fine-tune the weights of a run, a shipped model or a folder; without a RECIPE by "
            "their own recipe, at a tenth of its learning rate.",
        ),
    ] = None,
    model: OwnModel = None,
    profile: Annotated[
        bool,
        Flag(
            "--profile",
            help="Also print the time of each phase, and the speed as a percentage of this "
            "machine's arithmetic limit.",
        ),
    ] = False,
) -> None:
    """Train a recipe and write a run directory with weights, plots and a report.

    "kilonet recipes show RECIPE" prints all keys of a recipe with their descriptions.
    """
    words = ([recipe] if recipe is not None else []) + (overrides or [])
    chosen, changes = split_words(words)
    name = chosen if chosen in words or start is None else None
    changes += [f"training.weights={start}"] if start is not None else []
    _check_together(words, {"--out": out, "--from": start}, resume, model)
    require("train")
    from kilonet.machine import limit_openmp_spinning

    limit_openmp_spinning()
    from kilonet.cli.reporter import ConsoleReporter
    from kilonet.cli.tables import print_outcome, profile_tables
    from kilonet.workflows import train as api
    from kilonet.workflows.session import follow, is_follower

    if is_follower():
        follow()
        return
    console = output(progress=True)
    with ConsoleReporter(console) as reporter:
        shared: dict[str, Any] = {"data_dir": data_dir, "profile": profile, "reporter": reporter}
        if resume is not None:
            run = api.resume(resume, model=model, **shared)
        else:
            run = api.train(name, overrides=changes, out=out, model=model, **shared)
    if run.profile is not None:
        console.print(profile_tables(run.profile), soft_wrap=True)
    print_outcome(run, console)


def _check_together(
    words: list[str], options: dict[str, object], resume: str | None, model: str | None
) -> None:
    if resume is None:
        if model is not None and options["--from"] is None:
            raise UsageError(
                "--model belongs to --resume. A new run takes its network from its recipe: "
                f"model.name={model}"
            )
        return
    given = [f"{name} {value}" for name, value in options.items() if value is not None]
    for extra in [*words, *given][:1]:
        raise UsageError(
            f'--resume continues a run unchanged; "{extra}" would change it. Leave it out.'
        )


def lr_find(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE|FILE.toml [KEY=VALUE...]", help="The recipe, and keys to change in it."
        ),
    ],
    low: Annotated[float, typer.Option("--low", metavar="RATE", help="The lowest rate.")] = 1e-6,
    high: Annotated[float, typer.Option("--high", metavar="RATE", help="The highest rate.")] = 10.0,
    steps: Annotated[int, typer.Option("--steps", metavar="N", help="Number of steps.")] = 200,
    out: Annotated[Path, typer.Option("--out", metavar="FILE.png", help="The plot.")] = Path(
        "lr-find.png"
    ),
    data_dir: DataDir = None,
) -> None:
    """Find a learning rate: train a few steps at rising rates until the loss diverges."""
    recipe, overrides = split_words(words)
    require("train")
    from kilonet.machine import limit_openmp_spinning

    limit_openmp_spinning()
    from kilonet.cli.reporter import ConsoleReporter
    from kilonet.workflows.lr_find import lr_find as find_rate

    with ConsoleReporter(output(progress=True)) as reporter:
        result = find_rate(
            recipe,
            overrides=overrides,
            low=low,
            high=high,
            steps=steps,
            out=out,
            data_dir=data_dir,
            reporter=reporter,
        )
    print_line(
        f"The training loss falls fastest at a learning rate of {result.suggestion:.2g} and is "
        f"lowest at {result.lowest:.2g}; above that it diverges."
    )
    print_line(f"Try: kilonet train {recipe} optimizer.lr={result.suggestion:.2g}")
    print_line(f"Wrote {out}")
