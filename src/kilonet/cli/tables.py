"""The tables that the commands print."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from kilonet.recipe.catalog import recipe_names
from kilonet.recipe.load import resolve
from kilonet.runs.constraints import ConstraintCheck

if TYPE_CHECKING:
    from kilonet.data.inspect_folder import FolderReport
    from kilonet.evaluation.metrics import Metrics
    from kilonet.evaluation.robustness import RobustnessCell
    from kilonet.report.formatting import Table as TextTable
    from kilonet.studies.study import Study
    from kilonet.training.profile import Profile
    from kilonet.workflows.benchmark import Benchmark
    from kilonet.workflows.evaluate import RunComparison
    from kilonet.workflows.export import Export
    from kilonet.workflows.inspect import ModelFigures
    from kilonet.workflows.robustness import RobustnessReport
    from kilonet.workflows.runs import Run

MAX_NAMES = 10
"""Findings of one kind that are printed; ``--json`` has all."""


def plain_table(*headings: str) -> Table:
    """Return a table without borders; a heading that ends in ">" is right-aligned."""
    table = Table(
        box=None, pad_edge=False, title_justify="left", caption_justify="left", caption_style="none"
    )
    for heading in headings:
        name = heading.removesuffix(">")
        table.add_column(name, justify="left" if name == heading else "right", overflow="fold")
    return table


def print_outcome(run: Run, console: Console) -> None:
    """Print the test accuracy of a finished run, its checklist, and the path of its report."""
    from kilonet.workflows.evaluate import check

    test = run.test
    line = (
        f" of {test.total:,} test images correct (95 % interval {test.wilson_low:.2%} to "
        f"{test.wilson_high:.2%}), data set {run.directory.metrics()['dataset']}"
    )
    console.print()
    console.print(Text.assemble((f"{test.accuracy:.2%}", "bold"), line), soft_wrap=True)
    print_checks(check(run), console)
    if note := run.directory.facts.get("onnx_note"):
        console.print(Text.assemble(("Note:", "bold yellow"), f" {note}"), soft_wrap=True)
    console.print(Text(f"Report: {run.report}"), soft_wrap=True)


def print_checks(checks: Sequence[ConstraintCheck], console: Console) -> None:
    """Print the lines of a compliance checklist, each with ✓ or ✗."""
    for line in checks:
        mark = ("✓", "green") if line.passed else ("✗", "red")
        console.print(Text.assemble(mark, f" {line.label}: {line.detail}"), soft_wrap=True)


def recipes_table() -> Table:
    """Return the shipped recipes."""
    table = plain_table("recipe", "network", "epochs>", "what it is")
    for name in recipe_names():
        recipe = resolve(name).recipe
        table.add_row(name, recipe.model.name, str(recipe.training.epochs), recipe.title)
    return table


def models_table(models: Sequence[ModelFigures]) -> Table:
    """Return the shipped models."""
    table = plain_table("model", "data", "params>", "MACs>", "kB>", "test>", "mean of seeds>")
    for model in models:
        table.add_row(
            model.name,
            model.dataset,
            f"{model.parameters:,}",
            f"{model.macs:,}",
            f"{model.weights_bytes / 1000:.1f}",
            f"{model.accuracy:.2%}",
            f"{model.mean_accuracy:.3%} of {len(model.accuracies)}",
        )
    return table


def datasets_table(data_dir: Path | None = None) -> Table:
    """Return the data sets, and where each was found; ``data_dir`` is searched first."""
    from kilonet.data.locate import source_of
    from kilonet.data.registry import DATASETS

    table = plain_table("name", "what", "training>", "test>", "found in", "licence")
    for entry in DATASETS.values():
        table.add_row(
            entry.name,
            entry.title,
            f"{entry.train_count:,}",
            f"{entry.test_count:,}",
            source_of(entry, data_dir) or "–",
            entry.licence,
        )
    return table


def folder_table(report: FolderReport) -> Table:
    """Return the number of pictures of each class in a folder data set."""
    table = plain_table("class", "training>", "test>")
    table.title = Text(str(report.path), style="bold")
    for entry in report.classes:
        table.add_row(Text(entry.name), f"{entry.train:,}", f"{entry.test:,}")
    sums = (sum(entry.train for entry in report.classes), sum(e.test for e in report.classes))
    table.add_row(Text("all", style="bold"), *(f"{total:,}" for total in sums))
    return table


def folder_findings(report: FolderReport) -> Iterator[str]:
    """Yield lines about the problems of a folder data set; none if there are no problems."""
    from kilonet.data.inspect_folder import IMBALANCED

    if report.split_off:
        yield "There is no test folder: a stratified fifth of each class is the test part."
    if report.imbalance >= IMBALANCED:
        yield f"Imbalance: the largest class has {report.imbalance:.1f} times the smallest."
    yield from _findings("unreadable", [f"{name}: {why}" for name, why in report.unreadable])
    yield from _findings("no picture by its name", report.others)
    yield from _findings("the same file in several classes", map(" = ".join, report.contradictions))
    yield from _findings("the same file in training and test", map(" = ".join, report.copies))
    yield from _findings("looks the same in training and test", map(" ≈ ".join, report.near_copies))


def _findings(what: str, findings: Iterable[str]) -> Iterator[str]:
    lines = list(findings)
    if lines:
        yield f"{len(lines):,} × {what}:"
        yield from (f"    {line}" for line in lines[:MAX_NAMES])
        if len(lines) > MAX_NAMES:
            yield f"    and {len(lines) - MAX_NAMES:,} more (--json names all)"


def metrics_table(metrics: Metrics, title: str) -> Table:
    """Return precision, recall and F1 by class, with the overall figures as the caption."""
    table = plain_table("class", "precision>", "recall>", "F1>", "images>")
    table.title = Text(title, style="bold")
    for entry in metrics.per_class:
        figures = (f"{value:.2%}" for value in (entry.precision, entry.recall, entry.f1))
        table.add_row(entry.name, *figures, f"{entry.support:,}")
    table.caption = Text(
        f"accuracy {metrics.accuracy:.2%} ({metrics.correct:,} of {metrics.total:,})\n"
        f"95 % interval {metrics.wilson_low:.2%} to {metrics.wilson_high:.2%}\n"
        f"loss {metrics.loss:.4f}, calibration error {metrics.calibration_error:.4f}"
    )
    return table


def robustness_table(report: RobustnessReport) -> Table:
    """Return the accuracy by kind and strength of distortion, with the means as the caption."""
    from kilonet.evaluation.distortions import DISTORTIONS

    results = report.result
    table = plain_table("distortion", "strength>", "network alone>", "as a picture>", "refused>")
    table.title = Text(report.title, style="bold")
    table.add_row("none", "", *_shares(results.undistorted, results.images))
    for kind in DISTORTIONS:
        name = ", ".join(filter(None, [kind.name, kind.unit]))
        for cell in results.of(kind.name):
            table.add_row(name, f"{cell.strength:g}", *_shares(cell, results.images))
            name = ""
    table.caption = Text(
        f"mean over {len(DISTORTIONS)} kinds, with the 95 % interval\n"
        f"network alone {results.alone.mean:.2%} ± {results.alone.half_width:.2%}\n"
        f"as a picture {results.read.mean:.2%} ± {results.read.half_width:.2%}"
    )
    return table


def _shares(cell: RobustnessCell, images: int) -> list[str]:
    return [f"{count / images:.2%}" for count in (cell.alone, cell.read, cell.refused)]


def comparison_table(comparison: RunComparison) -> Table:
    """Return the test accuracies of two runs, and how many images only one classifies correctly."""
    table = plain_table("run", "accuracy>", "only it correct>")
    for name, accuracy, only in zip(
        (comparison.first, comparison.second),
        comparison.accuracies,
        (comparison.test.only_a, comparison.test.only_b),
        strict=True,
    ):
        table.add_row(name, f"{accuracy:.2%}", f"{only:,}")
    return table


def export_table(result: Export) -> Table:
    """Return the sizes of an export, and its comparison with PyTorch."""
    table = plain_table("", "export>", "PyTorch>")
    table.title = Text(f"{result.model} as {result.target}", style="bold")
    for name, size in result.sizes.items():
        table.add_row(name, f"{size:,} bytes", "")
    for key, size in result.budget.items():
        table.add_row(BUDGET[key], f"{size:,} bytes", "")
    check = result.verification
    if check is not None:
        table.add_row("accuracy", f"{check.accuracy:.2%}", f"{check.pytorch_accuracy:.2%}")
        table.add_row("same label", f"{check.same_labels:,} of {check.images:,}", "")
        table.add_row("largest logit difference", f"{check.largest_logit_difference:.2g}", "")
        times = (check.milliseconds, check.pytorch_milliseconds)
        table.add_row("one picture, one core", *(f"{time:.3f} ms" for time in times))
    return table


BUDGET = {
    "weight_bytes": "flash for weights and tables",
    "arena_bytes": "RAM, static",
    "stack_bytes": "stack, about",
    "unpacked_bytes": "archive, unpacked",
}


def benchmark_table(result: Benchmark) -> Table:
    """Return what a network needs and computes on each microcontroller."""
    table = plain_table("board", "flash>", "RAM>", "of it stack>", "one image>", "as reference>")
    table.title = Text(f"{result.model} in int8 C, {result.images:,} images", style="bold")
    for row in result.boards:
        same = f"{result.images - row.wrong_logits:,} of {result.images:,}"
        sizes = (f"{size:,} bytes" for size in (row.flash, row.ram, row.stack))
        table.add_row(row.board, *sizes, f"{row.ticks:,} {row.unit}", same)
    return table


def profile_tables(profile: Profile) -> Group:
    """Return the seconds by phase of a training, and its speed compared with the limits."""
    table, total = plain_table("phase", "seconds>", "%>"), sum(profile.seconds.values())
    for name, seconds in [*profile.seconds.items(), ("all", total)]:
        table.add_row(name, f"{seconds:,.2f}", f"{seconds / total:.1%}".rstrip("%"))
    speed = f"training: {profile.images_per_second:,.0f} images/s"
    limits = (_limit_line(profile, *limit) for limit in profile.limits.items())
    return Group(Text(), table, Text(), *map(Text, (speed, *limits)))


def _limit_line(profile: Profile, precision: str, limit: float) -> str:
    possible = limit / profile.flops
    return (
        f"arithmetic alone, {precision}: {possible:,.0f} images/s ({profile.flops / 1e6:,.3g} "
        f"MFLOP an image, {limit / 1e9:,.0f} GFLOP/s with {profile.hardware}); training takes "
        f"{possible / profile.images_per_second:.2f} times as long"
    )


def study_tables(study: Study) -> list[Table]:
    """Return the tables of the cells, the baseline in bold, and of the comparisons."""
    from kilonet.studies.formatting import cells_table, comparisons_table

    tables = [text_table(cells_table(study.analysis))]
    if study.analysis.comparisons:
        tables.append(text_table(comparisons_table(study.analysis)))
    return tables


def text_table(content: TextTable) -> Table:
    """Return a table of text for the terminal."""
    table = plain_table(*(f"{c.heading}>" if c.figures else c.heading for c in content.columns))
    for index, row in enumerate(content.rows):
        table.add_row(*map(Text, row), style="bold" if index == content.marked else None)
    return table
