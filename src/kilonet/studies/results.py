"""The files with a study's results: JSON and the HTML report."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from kilonet.files import write_text
from kilonet.report.facts import Curve, StudyFacts
from kilonet.report.formatting import Table
from kilonet.report.write import write_study_report
from kilonet.studies import directory
from kilonet.studies.analysis import Analysis, CellComparison, CellSummary
from kilonet.studies.directory import RunResult, StudyDirectory
from kilonet.studies.formatting import answers, cells_table, comparisons_table, runs_table
from kilonet.studies.plan import StudyPlan

_MAX_CURVES = 8


def write_results(study: StudyDirectory, analysis: Analysis, command: str) -> None:
    """Write ``analysis`` into the study's directory; ``command`` repeats the study."""
    write_text(study.file(directory.RESULTS), f"{json_text(analysis)}\n")
    write_study_report(study.file(directory.REPORT), _report_facts(study, analysis, command))


def json_text(analysis: Analysis) -> str:
    """Return all results as JSON; accuracies are fractions."""
    content = {
        "baseline": analysis.baseline,
        "answers": answers(analysis),
        "cells": [
            {**_cell_values(cell), "runs": [_run_values(cell, run) for run in cell.runs]}
            for cell in analysis.cells
        ],
        "comparisons": [_comparison_json(each) for each in analysis.comparisons],
        "failures": analysis.failures,
    }
    return json.dumps(content, indent=1, ensure_ascii=False)


def _cell_values(cell: CellSummary) -> dict[str, Any]:
    half = cell.half_width
    return {
        "cell": cell.label,
        "finished_runs": len(cell.runs),
        "test_accuracy": cell.mean,
        "standard_deviation": cell.deviation,
        "low": None if half is None else cell.mean - half,
        "high": None if half is None else cell.mean + half,
        "epochs": cell.epochs,
        "parameters": cell.parameters,
        "macs": cell.macs,
        "seconds": cell.seconds,
    }


def _run_values(cell: CellSummary, run: RunResult) -> dict[str, Any]:
    return {
        "run": run.name,
        "cell": cell.label,
        "seed": run.seed,
        "test_accuracy": run.accuracy,
        "validation_accuracy": run.validation_accuracies(),
        "epochs": len(run.history),
        "seconds": run.seconds,
    }


def _comparison_json(comparison: CellComparison) -> Any:
    """Return a comparison under the names that ``results.json`` has for its fields."""
    names = {"saved": "sooner", "not_reached": "never"}
    return _finite({names.get(key, key): value for key, value in asdict(comparison).items()})


def _finite(value: Any) -> Any:
    """Return ``value`` with None for infinite numbers, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _report_facts(study: StudyDirectory, analysis: Analysis, command: str) -> StudyFacts:
    return StudyFacts(
        title=study.path.resolve().name,
        question=_design(study.plan),
        answers=answers(analysis),
        tables=_report_tables(analysis),
        curves=_curves(analysis),
        failures=analysis.failures,
        command=command,
    )  # fmt: skip


def _design(plan: StudyPlan) -> str:
    """Return the size of the study: "Recipe quick, 2 cells, 5 seeds each (0 to 4)."."""
    cells = "1 cell" if len(plan.cells) == 1 else f"{len(plan.cells)} cells"
    seeds = f"{len(plan.seeds)} seeds each ({plan.seeds[0]} to {plan.seeds[-1]})"
    if len(plan.seeds) == 1:
        seeds = f"seed {plan.seeds[0]}"
    return f"Recipe {plan.recipe}, {cells}, {seeds}."


def _report_tables(analysis: Analysis) -> list[tuple[str, str, Table]]:
    tables = [("Cells", "Mean over seeds; the baseline is bold", cells_table(analysis))]
    if analysis.comparisons:
        caption = "Positive differences are in the cell's favour"
        tables.append(("Comparisons", caption, comparisons_table(analysis)))
    tables.append(("Runs", "Every finished run", runs_table(analysis)))
    return tables


def _curves(analysis: Analysis) -> list[Curve]:
    """Return the curves of the baseline and of the best cells, at most ``_MAX_CURVES``."""
    ranked = sorted(analysis.cells, key=lambda cell: (cell.label != analysis.baseline, -cell.mean))
    drawn = {cell.label for cell in ranked[:_MAX_CURVES]}
    return [
        Curve(cell.label, [run.validation_accuracies() for run in cell.runs])
        for cell in analysis.cells
        if cell.label in drawn and all(run.validation_accuracies() for run in cell.runs)
    ]
