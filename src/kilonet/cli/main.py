"""The ``kilonet`` command: its subcommands, and what becomes of an error."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException
from rich.markup import escape

from kilonet import __version__
from kilonet.cli import check, data, evaluate, recipes, runs, summary, train
from kilonet.cli.console import errors
from kilonet.errors import KilonetError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train, measure and compare image classifiers counted in kilo-parameters.",
)
app.add_typer(recipes.app, name="recipes")
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("summary")(summary.summary)
app.command("check")(check.check)
app.add_typer(runs.app, name="runs")
app.add_typer(data.app, name="data")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kilonet {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Train, measure and compare image classifiers counted in kilo-parameters."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 if all went well, 2 if it was wrong, 1 if it failed."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit status, having printed one message on failure."""
    try:
        result = app(arguments, standalone_mode=False)
    except KilonetError as error:
        return _fail(str(error), error.exit_code)
    except TyperException as error:
        return _fail(error.format_message(), 2, _hint(error))
    except (typer.Abort, KeyboardInterrupt):
        return _fail("Stopped.", 130)
    except BrokenPipeError:
        return 1
    return result if isinstance(result, int) else 0


def _fail(message: str, status: int, hint: str = "") -> int:
    errors().print(f"[bold red]Error:[/] {escape(message)}{hint}", soft_wrap=True, highlight=False)
    return status


def _hint(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    return f' Try "{context.command_path} --help".' if context is not None else ""
