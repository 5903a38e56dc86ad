"""Markdown tables: how cells are written, and the tables that ``tables.toml`` declares.

A declared table has ``columns``, each a heading and a template for its cells, or ``facts``, each a
label and a template; a few have both. Templates are those of ``str.format`` with the formats of
``FORMATS`` besides. Their values come from ``rows``, the name of a function that yields a dict for
each row, or from ``file``, a JSON file in ``results/``: its content, or the ``first`` entries of
its list ``each``. A heading is a template too, filled with the first row.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from string import Formatter
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from kilonet.errors import DataError
from kilonet.report.formatting import plural

NONE = "–"
DECLARATIONS = Path(__file__).with_name("tables.toml")
Row = Mapping[str, Any]
Rows = Callable[..., Iterable[Row]]
Model = TypeVar("Model", bound=BaseModel)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[int] = ()) -> str:
    """Return a pipe table; the columns with the indices ``left`` are aligned to the left."""
    rules = [":---" if column in left else "---:" for column in range(len(headings))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [headings, rules, *rows])


def percent(value: Fraction | float | None, digits: int = 2) -> str:
    """Format a percentage without its sign."""
    return NONE if value is None else f"{float(value):.{digits}f}"


def interval(bounds: tuple[float, float] | None) -> str:
    """Format both ends of an interval in percent."""
    return NONE if bounds is None else f"{percent(bounds[0])}–{percent(bounds[1])}"


def span(values: Sequence[int]) -> str:
    """Format whole numbers as ``5`` or, if they differ, as ``4–6``."""
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low}–{high}"


FORMATS: dict[str, Callable[[Any], str]] = {
    "share": lambda fraction: percent(100 * fraction),
    "percents": lambda values: ", ".join(map(percent, values)),
    "list": lambda values: ", ".join(map(str, values)),
    "interval": interval,
    "span": span,
    "seeds": lambda number: plural(number, "seed"),
    "MB": lambda size: f"{size / 1e6:.0f} MB",
    "or none": lambda number: str(number or "none"),
    "or unknown": lambda text: str(text or "unknown"),
}


class _Cells(Formatter):
    """``str.format`` with the formats of ``FORMATS``; None becomes a dash."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec in FORMATS and (value is not None or format_spec.startswith("or ")):
            return FORMATS[format_spec](value)
        return NONE if value is None else format(value, format_spec)


def fill(template: str, row: Row) -> str:
    """Return ``template`` with the values of ``row``."""
    return _Cells().vformat(template, (), row)


def declared_tables(functions: Iterable[Rows]) -> dict[str, Callable[..., str]]:
    """Return the tables of ``tables.toml`` by name; ``functions`` yield rows."""
    by_name = {function.__name__: function for function in functions}
    return {
        name: partial(_declared, table_, by_name.get(table_.get("rows", "")))
        for name, table_ in tomllib.loads(DECLARATIONS.read_text(encoding="utf-8")).items()
    }


def _declared(
    declaration: dict[str, Any], function: Rows | None, results: Path, *words: str
) -> str:
    rows = list(function(results, *words) if function else _entries(results, **declaration))
    parts, left = [], declaration.get("left", ())
    if columns := declaration.get("columns"):
        headings = [fill(heading, rows[0]) for heading, _ in columns]
        cells = [[fill(template, row) for _, template in columns] for row in rows]
        parts.append(table(headings, cells, left))
    if facts := declaration.get("facts"):
        headings = declaration.get("headings", ["", ""])
        cells = [[fill(template, rows[0]) for template in fact] for fact in facts]
        parts.append(table(headings, cells, declaration.get("left_facts", (0, 1))))
    if text := declaration.get("text"):
        parts.append(fill(text, rows[0]))
    return "\n\n".join(parts)


def _entries(
    results: Path, file: str, each: str = "", first: int | None = None, **_: Any
) -> Iterator[Row]:
    """Yield the content of ``file``, or the ``first`` entries of its list ``each``."""
    content = read_json(results / file)
    yield from content[each][:first] if each else [content]


def read_json(path: Path) -> Any:
    """Return the content of a results file.

    Raises:
        DataError: the file does not exist or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}. Restore or measure it again.") from None


def read_model(path: Path, kind: type[Model]) -> Model:
    """Return the content of a JSON or TOML file as ``kind``.

    Raises:
        DataError: the file does not exist, or its content is invalid.
    """
    try:
        content = (
            tomllib.loads(path.read_text(encoding="utf-8"))
            if path.suffix == ".toml"
            else read_json(path)
        )
        return kind.model_validate(content)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path}: {error}. Correct it.") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise DataError(f"{path}: {place}: {first['msg']}. Correct or measure it again.") from None
