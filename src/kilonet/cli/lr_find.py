"""``kilonet lr-find``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kilonet.cli.console import output, say
from kilonet.cli.options import DataDir
from kilonet.cli.train import split_words
from kilonet.extras import require
from kilonet.machine import limit_openmp_spinning


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
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE.png", help="The plot (default: lr-find.png).")
    ] = Path("lr-find.png"),
    data_dir: DataDir = None,
) -> None:
    """Find a learning rate: train a few steps at rising rates until the loss diverges."""
    recipe, overrides = split_words(words)
    require("train")
    limit_openmp_spinning()
    from kilonet.cli.reporter import ConsoleReporter
    from kilonet.workflows.lr_find import lr_find as find_rate

    with ConsoleReporter(output()) as reporter:
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
    say(
        f"The training loss falls fastest at a learning rate of {result.suggestion:.2g} and is "
        f"lowest at {result.lowest:.2g}; above that it diverges."
    )
    say(f"Try: kilonet train {recipe} optimizer.lr={result.suggestion:.2g}")
    say(f"Wrote {out}")
