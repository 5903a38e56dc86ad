"""Every command as a page, off the Typer application that parses them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer

from kilonet.cli.main import app


@dataclass(frozen=True)
class Command:
    """A command: its words, its sentence, its usage line, and (what, sentence) of what it takes."""

    name: str
    sentence: str
    usage: str
    arguments: list[tuple[str, str]]
    options: list[tuple[str, str]]


def commands() -> Iterator[Command]:
    """Yield every command that does something, those of groups by their full name."""
    root = typer.main.get_command(app)
    with root.make_context("kilonet", [], resilient_parsing=True) as context:
        yield from _below(root, context)


def _below(group: Any, context: Any) -> Iterator[Command]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        inside = type(context)(command, info_name=name, parent=context)
        is_group = hasattr(command, "list_commands")
        if not is_group or command.invoke_without_command:
            yield _command(command, inside)
        if is_group:
            yield from _below(command, inside)


def _command(command: Any, context: Any) -> Command:
    kinds: dict[str, list[tuple[str, str]]] = {"argument": [], "option": []}
    for parameter in command.get_params(context):
        if "--help" not in parameter.opts:
            kinds[parameter.param_type_name].append(_record(parameter, context))
    usage = " ".join(command.get_usage(context).split())
    return Command(
        context.command_path,
        " ".join((command.help or "").split("\n\n")[0].split()),
        usage.removeprefix("Usage: "),
        kinds["argument"],
        kinds["option"],
    )


def _record(parameter: Any, context: Any) -> tuple[str, str]:
    """Return what is typed, less the type that Typer adds to it, and what it means."""
    what, sentence = parameter.get_help_record(context)
    return what.partition(" <")[0], " ".join(sentence.split())
