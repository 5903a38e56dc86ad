"""From facts to text: what the templates are given, and the two of them filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from kilonet.report import _sentences, _tables, words
from kilonet.report._tables import Table
from kilonet.report.facts import ReportFacts

if TYPE_CHECKING:
    from kilonet.report.study import StudyFacts


def html(facts: ReportFacts, pictures: Mapping[str, str]) -> str:
    """Return the report as one HTML page. ``pictures`` maps file names to what ``src`` is."""
    environment = _environment(autoescape=True)
    return environment.get_template("report.html.j2").render(_content(facts, pictures))


def study_html(facts: StudyFacts, pictures: Mapping[str, str]) -> str:
    """Return a study's report as one HTML page. ``pictures`` maps names to what ``src`` is."""
    template = _environment(autoescape=True).get_template("study.html.j2")
    return template.render(facts=facts, pictures=pictures)


def markdown(facts: ReportFacts, pictures: Mapping[str, str]) -> str:
    """Return the report as GitHub-flavoured Markdown. ``pictures`` maps file names to links."""
    environment = _environment(autoescape=False)
    environment.filters |= {
        "md": escape_markdown,
        "table": markdown_table,
        "code": code_span,
        "fence": fence,
    }
    return environment.get_template("report.md.j2").render(_content(facts, pictures))


def escape_markdown(text: object) -> str:
    """Return ``text`` as it would appear, with nothing in it that Markdown or HTML acts upon."""
    flat = " ".join(str(text).split())
    escaped = re.sub(r"([\\`*\[\]|~$])", r"\\\1", flat).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", escaped)


def markdown_table(table: Table) -> str:
    """Return a pipe table; the marked row is in bold."""
    lines = [
        [escape_markdown(column.heading) for column in table.columns],
        ["---:" if column.figures else ":---" for column in table.columns],
    ]
    for place, row in enumerate(table.rows):
        cells = [escape_markdown(cell) for cell in row]
        lines.append([f"**{c}**" if c and place == table.marked else c for c in cells])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def code_span(text: str) -> str:
    """Return ``text`` as inline code."""
    ticks, room = _backticks(text, least=1), " " if "`" in text else ""
    return f"{ticks}{room}{' '.join(text.split())}{room}{ticks}"


def fence(text: str, language: str) -> str:
    """Return ``text`` as a code block."""
    ticks = _backticks(text, least=3)
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}"


def _backticks(text: str, least: int) -> str:
    """Return more backticks than ``text`` has in a row, so that it cannot end the code early."""
    return "`" * max(least, 1 + max(map(len, re.findall("`+", text)), default=0))


def _environment(*, autoescape: bool) -> Environment:
    return Environment(
        loader=PackageLoader("kilonet.report", "templates"),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _content(facts: ReportFacts, pictures: Mapping[str, str]) -> dict[str, Any]:
    metrics = facts.metrics
    return {
        "facts": facts,
        "answer": _sentences.answer(facts),
        "accuracy": words.percent(metrics.accuracy),
        "headline": _headline(facts),
        "curves": {"src": pictures["training_metrics.png"], "alt": _sentences.curves(facts)},
        "confusion": {
            "src": pictures["confusion_matrix.png"],
            "alt": _sentences.confusions(metrics, facts.classes),
        },
        "mistakes": {"src": pictures["mistakes.png"], "alt": _sentences.mistakes(facts)},
        "epochs": _tables.epochs(facts),
        "per_class": _tables.per_class(metrics),
        "layers": _tables.layers(facts),
        "environment": _tables.environment(facts),
        "validated": _sentences.has_validation(facts),
        "checks": _sentences.checks(facts),
        "measurement": _sentences.measurement(facts),
    }


def _headline(facts: ReportFacts) -> list[tuple[str, str, str]]:
    """Return the figures to see at a glance: name, figure, and what to know about it."""
    metrics = facts.metrics
    best = f"best on validation: {facts.best_epoch}"
    validated = _sentences.has_validation(facts)
    return [
        ("test accuracy", words.percent(metrics.accuracy), _sentences.interval(metrics)),
        ("parameters", f"{facts.parameters:,}", f"{facts.macs:,} MACs an image"),
        ("epochs", str(len(facts.history)), best if validated else "no validation images"),
        ("training", words.duration(facts.seconds_total), facts.stopped_because),
    ]
