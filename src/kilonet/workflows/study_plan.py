"""What a study is asked for, on the command line or in Python, and the plan that comes of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from kilonet.errors import UsageError
from kilonet.paths import studies_dir
from kilonet.progress import Reporter
from kilonet.recipe.catalog import SUFFIX
from kilonet.recipe.load import Resolved, resolve
from kilonet.studies.grid import Axis, Cell, baseline_of, cells_of, parse_axes, slug_of
from kilonet.studies.plan import Plan, make_plan
from kilonet.workflows.overrides import as_overrides

Vary: TypeAlias = Mapping[str, Sequence[Any]] | Sequence[str]


@dataclass(frozen=True)
class Asked:
    """What is asked for: every recipe resolved, no network or data set looked at yet."""

    recipe: str
    words: list[str]
    axes: list[Axis]
    cells: list[Cell]
    resolved: list[Resolved]
    seeds: int
    baseline: str | None
    path: Path

    def plan(self, resolved: Sequence[Resolved] | None = None) -> Plan:
        """Return the plan, with the recipes ``resolved`` where those are no longer as asked."""
        place = baseline_of(self.cells, self.baseline)
        return make_plan(resolved or self.resolved, self.cells, self.seeds, place)

    def command_line(self) -> str:
        """Return the line that repeats the study."""
        line = ["kilonet", "study", self.recipe, *self.words]
        for axis in self.axes:
            line += ["--vary", f"{axis.key}={','.join(axis.values)}"]
        line += ["--seeds", str(self.seeds)]
        line += ["--baseline", self.baseline] if self.baseline is not None else []
        return shlex.join([*line, "--name", self.path.name])


def ask(
    recipe: str | Path,
    vary: Vary,
    seeds: int,
    words: list[str],
    baseline: str | None,
    name: str | Path | None,
) -> Asked:
    """Return what is asked for.

    Raises:
        UsageError, RecipeError: something in it is wrong.
    """
    axes = parse_axes(_words_of(vary))
    own = str(recipe).endswith(SUFFIX)
    called = Path(recipe).stem if own else str(recipe)
    cells = cells_of(axes, called)
    resolved = [resolve(recipe, [*words, *cell.words]) for cell in cells]
    path = studies_dir() / (name if name is not None else _name(called, words, axes))
    return Asked(str(recipe), words, axes, cells, resolved, seeds, baseline, path)


def settle(asked: Asked, data_dir: Path | None, reporter: Reporter | None) -> Plan:
    """Return the plan with the data sets that are really used, having looked at each network.

    Raises:
        UsageError, RecipeError: a network cannot be made, or is over its budget.
        DataError: a data set cannot be had, or is damaged.
        MissingExtraError: TensorBoard is to be written for, and is not installed.
    """
    from kilonet.models.build import check_budget
    from kilonet.report.tensorboard import require_events
    from kilonet.training.device import choose_device
    from kilonet.workflows.load import network_for
    from kilonet.workflows.material import load_or_stand_in

    settled: dict[str, str] = {}
    resolved: list[Resolved] = []
    for cell, one in zip(asked.cells, asked.resolved, strict=True):
        require_events(one.recipe)
        choose_device(one.recipe.training.device)
        check_budget(network_for(one.recipe), one.recipe, f"{one.name} ({cell.label})")
        name = one.recipe.data.name
        if name not in settled:
            used, _, note = load_or_stand_in(one, data_dir, reporter)
            settled[name] = used.recipe.data.name
            if note and reporter is not None:
                reporter.message(f"Note: {note}")
        data = one.recipe.data.model_copy(update={"name": settled[name]})
        resolved.append(replace(one, recipe=one.recipe.model_copy(update={"data": data})))
    return asked.plan(resolved)


def _words_of(vary: Vary) -> list[str]:
    """Return ``KEY=A,B`` words for what Python gives as a mapping."""
    if not isinstance(vary, Mapping):
        return [*vary]
    return [f"{key}={','.join(_texts(key, values))}" for key, values in vary.items()]


def _texts(key: str, values: Sequence[Any]) -> list[str]:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise UsageError(f"vary: {key} needs a list of values, not {values!r}.")
    word = key.replace(".", "_", 1)
    return [as_overrides({word: value})[0].partition("=")[2] for value in values]


def _name(recipe: str, words: Sequence[str], axes: Sequence[Axis]) -> str:
    """Return the study's name: the same whenever the same is asked."""
    varied = [axis.key.removesuffix(".name").rpartition(".")[2] for axis in axes]
    return "-".join([recipe, *map(slug_of, words), *varied])[:120]
