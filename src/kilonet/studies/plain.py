"""A study's results as plain values: JSON, and CSV with figures to the last digit."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from kilonet.studies.analysis import Analysis, Comparison, Summary
from kilonet.studies.found import Found
from kilonet.studies.words import sentences

CELLS, RUNS, COMPARISONS = "cells.csv", "runs.csv", "comparisons.csv"


def to_json(analysis: Analysis) -> dict[str, Any]:
    """Return everything that was found as plain values; accuracies are fractions."""
    return {
        "baseline": analysis.baseline,
        "answers": sentences(analysis),
        "cells": [
            {**_cell(cell), "runs": [_run(cell, run) for run in cell.runs]}
            for cell in analysis.cells
        ],
        "comparisons": [_finite(asdict(each)) for each in analysis.comparisons],
        "failures": analysis.failures,
    }


def csv_tables(analysis: Analysis) -> dict[str, str]:
    """Return the tables of cells, comparisons and runs as CSV, by the names of their files."""
    tables = {
        CELLS: [_cell(cell) for cell in analysis.cells],
        COMPARISONS: [_comparison(each) for each in analysis.comparisons],
        RUNS: [_flat_run(cell, run) for cell in analysis.cells for run in cell.runs],
    }
    return {name: csv_text(rows) for name, rows in tables.items() if rows}


def csv_text(rows: Sequence[dict[str, Any]]) -> str:
    """Return ``rows``, which have the same keys, as CSV with a heading; None is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _cell(cell: Summary) -> dict[str, Any]:
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


def _run(cell: Summary, run: Found) -> dict[str, Any]:
    return {
        "run": run.name,
        "cell": cell.label,
        "seed": run.seed,
        "test_accuracy": run.accuracy,
        "validation_accuracy": run.by_epoch(),
        "epochs": len(run.history),
        "seconds": run.seconds,
    }


def _flat_run(cell: Summary, run: Found) -> dict[str, Any]:
    return {**_run(cell, run), "validation_accuracy": max(run.by_epoch(), default=None)}


def _comparison(found: Comparison) -> dict[str, Any]:
    images, sooner = found.images, found.sooner
    return {
        "cell": found.label,
        "seeds": found.seeds,
        "difference": found.accuracy.mean,
        "low": _number(found.accuracy.low),
        "high": _number(found.accuracy.high),
        "p": found.accuracy_p_adjusted,
        "images_only_cell": images.only_a if images else None,
        "images_only_baseline": images.only_b if images else None,
        "images_p": found.images_p_adjusted if images else None,
        "threshold": found.threshold,
        "epochs_sooner": sooner.epochs.mean if sooner else None,
        "epochs_low": _number(sooner.epochs.low) if sooner else None,
        "epochs_high": _number(sooner.epochs.high) if sooner else None,
        "epochs_p": sooner.p_adjusted if sooner else None,
    }


def _number(value: float) -> float | None:
    """Return ``value``, None where it is infinite: neither CSV nor JSON has a word for that."""
    return value if math.isfinite(value) else None


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return _number(value) if isinstance(value, float) else value
