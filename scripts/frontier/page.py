"""The text of ``docs/frontier.md``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from frontier.measured import BASE, Effect, Frontier, Record, Row, Sparse
from rendering import render
from reproduction.words import NONE, NOT_MEASURED, between, percent, spread, table


def frontier(found: Frontier) -> str:
    """Return the page."""
    digits, clothes = found.on("mnist"), found.on("fashion-mnist")
    return render(
        Path(__file__).with_name("page.md.j2"),
        goals=_goals(digits.rows),
        records=_records(digits.records),
        trained=_trained(digits.rows),
        fashion_goals=_goals(clothes.rows),
        fashion_records=_records(clothes.records),
        fashion_trained=_trained(clothes.rows),
        groups={
            group: _effects([effect for effect in found.effects if effect.group == group])
            for group in dict.fromkeys(effect.group for effect in found.effects)
        },
    )


def _trained(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.result is not None]


def _goals(rows: Sequence[Row]) -> str:
    headings = ["model", "parameters at most", "parameters", "epochs", "goal, %"]
    headings += ["test accuracy, % (mean ± sd)", "seeds", "95 % interval of the mean"]
    headings += ["each seed, %", "int8 in C, %", "non-zero (%)", "reached"]
    return table(headings, [_goal(row) for row in rows], texts=(0, 8, 11))


def _goal(row: Row) -> list[str]:
    budget, result = row.budget, row.result
    begins = [f"`{budget.name}`", f"{budget.parameters:,}"]
    if result is None:
        ends = [NONE, NONE, percent(budget.goal), NONE, "0", NONE, NONE, NONE, NONE, NOT_MEASURED]
        return [*begins, *ends]
    accuracy = result.accuracy
    return [
        *begins,
        f"{result.parameters:,}",
        str(result.runs[0].epochs),
        percent(budget.goal),
        spread(accuracy),
        str(len(accuracy.values)),
        between(accuracy.interval),
        ", ".join(map(percent, accuracy.values)),
        NONE if row.int8 is None else percent(100 * row.int8),
        NONE if row.sparse is None else _sparse(row.sparse),
        {True: "yes", False: f"no, {_short(row)} points short", None: NOT_MEASURED}[row.met],
    ]


def _sparse(sparse: Sparse) -> str:
    return f"{sparse.nonzero:,} ({percent(100 * sparse.correct / sparse.total)})"


def _short(row: Row) -> str:
    assert row.result is not None
    return percent(row.budget.goal - float(row.result.accuracy.mean), 3)


def _records(records: Sequence[Record]) -> str:
    headings = ["parameters", "test accuracy, %", "how it was come by", "source"]
    rows = [[f"{r.parameters:,}", percent(r.accuracy), r.how, r.source] for r in records]
    return table(headings, rows, texts=(2, 3))


def _effects(effects: Sequence[Effect]) -> str:
    headings = ["change", "parameters", "epochs", "seeds", "validation accuracy, %"]
    headings += ["against the base, points"]
    rows = [
        [
            effect.change,
            f"{effect.parameters:,}",
            str(effect.epochs),
            str(effect.seeds),
            percent(effect.accuracy),
            "the base" if effect.change == BASE else _difference(effect),
        ]
        for effect in effects
    ]
    return table(headings, rows, texts=(0,))


def _difference(effect: Effect) -> str:
    if effect.mean is None:
        return NONE
    if effect.half_width is not None:
        low, high = effect.mean - effect.half_width, effect.mean + effect.half_width
        return f"{effect.mean:+.2f} ({low:+.2f} to {high:+.2f})"
    tail = "" if effect.deviation is None else f" ± {effect.deviation:.2f}"
    return f"{effect.mean:+.2f}{tail}"
