"""The generated texts: ``docs/reproduction.md`` and the marked block of ``README.md``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from kilonet.errors import UsageError
from kilonet.recipe.load import resolve
from kilonet.recipe.schema import Recipe
from reproduction import tables
from reproduction.claims import Claim, Claims, Floor, Page
from reproduction.recipes import (
    assumptions,
    changed_since,
    differences,
    judged_weights,
    recipe_of,
)
from reproduction.results import Result
from reproduction.verdicts import NOT_MEASURED, Verdict, floor_is_met, judge_claim
from reproduction.words import plural, span, spread

Results = dict[str, Result]

_PROBE = re.compile(r"\{([\w-]+)\}")
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"


@dataclass(frozen=True)
class Section:
    """One claim and what was measured of it."""

    claim: Claim
    result: Result | None
    recipe: Recipe
    verdict: Verdict
    reasons: list[str]
    seeds: str = ""
    epochs: str = ""
    accuracy: str = ""
    train: str = ""
    changed: str = ""
    judged: str = ""
    assumptions: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chapter:
    """One page: its sections, its by-epoch table if it has one, and what does not add up."""

    number: str
    title: str
    sections: list[Section]
    by_epoch: str
    notes: list[str]


def reproduction(claims: Claims, results: Results) -> str:
    """Return the text of ``docs/reproduction.md``."""
    theirs = [claim for claim in claims.claim if not claim.ours]
    stands = [judge_claim(claim, results.get(claim.label)).stands for claim in theirs]
    text = _template().render(
        numbers=_range_of([page.number for page in claims.page if page.number]),
        theirs=theirs,
        dataset=claims.dataset,
        held_back=_held_back(claims, results),
        stand=stands.count(True),
        fall=stands.count(False),
        open=stands.count(None),
        results=results,
        curves=any(label in results for label in claims.curves.recipes),
        summary=tables.summary(claims, results),
        floors=tables.floors(claims, results),
        floors_total=len(claims.floor),
        met=_floors(claims.floor, results, True),
        unmet=_floors(claims.floor, results, False),
        floors_open=_floors(claims.floor, results, None),
        environments=tables.environments(results),
        origins=tables.origins(claims, results),
        pages=[_chapter(page, claims, results) for page in claims.page],
    )
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


def readme(text: str, claims: Claims, results: Results) -> str:
    """Return the README's ``text`` with the block between the two marks filled in.

    Raises:
        UsageError: it does not hold both marks, once each and in order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in rest or END in before + after:
        raise UsageError(
            f"README.md needs the lines {BEGIN} and {END}, once each, around the place where the "
            "table of results goes. Put them in."
        )
    return before + "\n\n".join([BEGIN, tables.readme(claims, results), END]) + after


def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # it is Markdown, from files of this repository
    )
    environment.globals["plural"] = plural
    return environment.get_template("page.md.j2")


def _chapter(page: Page, claims: Claims, results: Results) -> Chapter:
    own = claims.of_page(page.number)
    sections = [_section(claim, results) for claim in own]
    return Chapter(page.number, page.title, sections, tables.by_epoch(own, results), page.notes)


def _section(claim: Claim, results: Results) -> Section:
    result, recipe = results.get(claim.label), recipe_of(claim)
    verdict = judge_claim(claim, result)
    other = resolve(claim.beside).recipe if claim.beside else None
    section = Section(
        claim, result, recipe, verdict, _reasons(claim, verdict, results),
        judged=judged_weights(recipe),
        assumptions=tuple(assumptions(recipe)),
        differences=tuple(differences(recipe, other)) if other else (),
    )  # fmt: skip
    return section if result is None else _with_measurements(section, result)


def _with_measurements(section: Section, result: Result) -> Section:
    return Section(
        **(vars(section) | {
            "seeds": tables.seeds(result),
            "epochs": span([run.epochs for run in result.runs]),
            "accuracy": spread(result.accuracy),
            "train": spread(tables.last_train(result)),
            "changed": changed_since(section.recipe, result),
        })
    )  # fmt: skip


def _reasons(claim: Claim, verdict: Verdict, results: Results) -> list[str]:
    """Return why each failing aspect fails, or that it has not been found out."""
    known = {aspect: getattr(claim.why, aspect) for aspect in verdict.failures}
    return [
        _PROBE.sub(lambda match: _probed(match[1], results), text)
        or f"Why the {aspect} {'is' if aspect == 'accuracy' else 'are'} off is not known yet."
        for aspect, text in known.items()
    ]


def _probed(label: str, results: Results) -> str:
    if label not in results:
        return NOT_MEASURED
    sample = results[label].accuracy
    return f"{spread(sample)} % ({plural(len(sample.values), 'seed')})"


def _floors(floors: list[Floor], results: Results, met: bool | None) -> list[str]:
    found = [floor for floor in floors if floor_is_met(floor, results) is met]
    return [f"page {floor.page}, {tables.describe(floor)}" for floor in found]


def _held_back(claims: Claims, results: Results) -> str:
    """Return how many training images decide, as the results (or else the recipes) say."""
    shares = {result.data.validation for result in results.values()}
    shares = shares or {recipe_of(claim).data.validation for claim in claims.claim}
    return " or ".join(f"{round(claims.dataset.train * share):,}" for share in sorted(shares))


def _range_of(numbers: list[str]) -> str:
    return f"{numbers[0]} to {numbers[-1]}"
