"""The files that say what a study found: CSV, JSON and the report."""

from __future__ import annotations

import json

from kilonet.atomic import write_text
from kilonet.report.facts import Curve, Point, StudyFacts
from kilonet.report.formatting import Table
from kilonet.report.write import write_study_report
from kilonet.studies import directory
from kilonet.studies.analysis import Analysis
from kilonet.studies.directory import StudyDirectory
from kilonet.studies.plain import csv_tables, to_json
from kilonet.studies.plan import Plan
from kilonet.studies.tables import cells_table, comparisons_table, runs_table
from kilonet.studies.words import sentences

_MOST_CURVES = 8


def write_results(study: StudyDirectory, analysis: Analysis, command: str) -> None:
    """Write what ``analysis`` says into the study's directory; ``command`` is what repeats it."""
    text = json.dumps(to_json(analysis), indent=1, ensure_ascii=False)
    write_text(study.file(directory.RESULTS), f"{text}\n")
    for name, rows in csv_tables(analysis).items():
        write_text(study.file(name), rows)
    write_study_report(study.file(directory.REPORT), _facts(study, analysis, command))


def _facts(study: StudyDirectory, analysis: Analysis, command: str) -> StudyFacts:
    return StudyFacts(
        title=study.path.resolve().name,
        question=question(study.plan),
        answers=sentences(analysis),
        tables=_tables(analysis),
        curves=_curves(analysis),
        points=[
            Point(
                cell.label, cell.mean, cell.half_width or 0.0, cell.parameters, cell.macs,
                cell.seconds,
            )
            for cell in analysis.cells
        ],
        measurement=measurement(analysis),
        command=command,
    )  # fmt: skip


def question(plan: Plan) -> str:
    """Return what was varied: "Recipe quick, 2 cells, 5 seeds each (0 to 4)."."""
    cells = "1 cell" if len(plan.cells) == 1 else f"{len(plan.cells)} cells"
    seeds = f"{len(plan.seeds)} seeds each ({plan.seeds[0]} to {plan.seeds[-1]})"
    if len(plan.seeds) == 1:
        seeds = f"seed {plan.seeds[0]}"
    return f"Recipe {plan.recipe}, {cells}, {seeds}."


def _tables(analysis: Analysis) -> list[tuple[str, str, Table]]:
    tables = [("Cells", "Mean over seeds; in bold, the baseline", cells_table(analysis))]
    if analysis.comparisons:
        caption = "Differences are in the cell's favour where they are positive"
        tables.append(("Comparisons", caption, comparisons_table(analysis)))
    tables.append(("Runs", "Every finished run", runs_table(analysis)))
    return tables


def _curves(analysis: Analysis) -> list[Curve]:
    """Return the curves of the baseline and of the best cells: more would hide each other."""
    ranked = sorted(analysis.cells, key=lambda cell: (cell.label != analysis.baseline, -cell.mean))
    drawn = {cell.label for cell in ranked[:_MOST_CURVES]}
    return [
        Curve(cell.label, [run.by_epoch() for run in cell.runs])
        for cell in analysis.cells
        if cell.label in drawn and all(run.by_epoch() for run in cell.runs)
    ]


def measurement(analysis: Analysis) -> list[str]:
    """Return how the figures came about, a paragraph each."""
    paragraphs = [
        "Each run is judged once, at its end, on the test images; epochs and thresholds are those "
        "of validation images, which were held back from the training images.",
        "Means have Student's 95 % interval over the seeds. A cell is compared with the baseline "
        "on the seeds that both have: a paired t-test over the seeds, of test accuracy and of the "
        "epochs to the threshold; and McNemar's exact test over the test images, of which each "
        "counts for the cell whose seeds read it right more often. The p values are adjusted for "
        "the number of cells (Holm).",
        "Where no difference was found there may still be one, too small for so many seeds: the "
        "interval says how large it could be.",
    ]
    if analysis.failures:
        failed = "; ".join(f"{name}: {why}" for name, why in analysis.failures.items())
        paragraphs.append(f"Left out, as they could not be trained to their end: {failed}")
    return paragraphs
