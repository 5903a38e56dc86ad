"""The tables, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from kilonet.evaluation.statistics import wilson
from reproduction.claims import Claim, Claims, Floor
from reproduction.recipes import recipe_of
from reproduction.results import Result, Run, Sample, sample_of
from reproduction.verdicts import NOT_MEASURED, floor_sample, judge_claim, judge_floor
from reproduction.words import NONE, between, percent, plural, span, spread, table

Results = dict[str, Result]


def summary(claims: Claims, results: Results) -> str:
    """Return one row a claim: what is claimed, what was measured, and whether it stands."""
    headings = [
        "recipe", "page", "parameters claimed", "measured", "epochs claimed", "run",
        "test accuracy claimed, %", "measured, % (mean ± sd)", "seeds", "95 % interval of the mean",
        "each seed, %", "does the claim stand?",
    ]  # fmt: skip
    rows = [_summary_row(claim, results.get(claim.label)) for claim in claims.claim]
    return table(headings, rows, texts=(0, 1, 10, 11))


def _summary_row(claim: Claim, result: Result | None) -> list[str]:
    page = (f"{claim.page}, " if claim.page else "") + "our goal" if claim.ours else claim.page
    claimed = [str(claim.parameters), str(claim.epochs), str(claim.accuracy)]
    measured = [NOT_MEASURED, NONE, NOT_MEASURED, "0", NONE, NONE]
    if result is not None:
        sample = result.accuracy
        measured = [
            f"{result.parameters:,}", span([run.epochs for run in result.runs]), spread(sample),
            str(len(sample.values)), between(sample.interval),
            ", ".join(map(percent, sample.values)),
        ]  # fmt: skip
    paired = [word for pair in zip(claimed, measured, strict=False) for word in pair]
    name = f"[`{claim.label}`](#{_anchor(claim.label)})"
    return [name, page, *paired, *measured[3:], str(judge_claim(claim, result))]


def _anchor(heading: str) -> str:
    """Return what a heading is linked by: renderers of Markdown leave its dots out."""
    return heading.replace(".", "")


def floors(claims: Claims, results: Results) -> str:
    """Return one row a floor and recipe that may meet it."""
    rows = [
        _floor_row(floor, label, results.get(label))
        for floor in claims.floor
        for label in floor.recipes
    ]
    headings = ["page", "floor", "recipe", "measured, % (mean ± sd)", "seeds", "does it reach it?"]
    return table(headings, rows, texts=(0, 1, 2, 5))


def _floor_row(floor: Floor, label: str, result: Result | None) -> list[str]:
    sample = floor_sample(floor, result)
    verdict = str(judge_floor(floor, result))
    verdict = verdict.replace("does not stand", "no").replace("stands", "yes")
    seeds = str(len(sample.values)) if sample else "0"
    measured = spread(sample) if sample else NOT_MEASURED
    return [floor.page, describe(floor), f"`{label}`", measured, seeds, verdict]


def describe(floor: Floor) -> str:
    """Say in words what ``floor`` asks for."""
    parts = [f"{floor.accuracy} %"]
    if floor.at_epoch is not None:
        parts.append(f"after {plural(floor.at_epoch, 'epoch')}")
    if floor.parameters is not None:
        parts.append(f"with {floor.parameters} parameters")
    if floor.epochs is not None:
        parts.append(f"in {floor.epochs} epochs")
    return ", ".join(parts)


def seeds(result: Result) -> str:
    """Return one row a seed, and their mean; the peeked-at figure beside the honest one."""
    headings = [
        "seed", "test accuracy, %", "its 95 % Wilson interval", "best epoch", "epochs run",
        "seconds", "training accuracy at the end, %", "highest test accuracy of any epoch¹, %",
    ]  # fmt: skip
    rows = [_seed_row(run) for run in result.runs]
    peeked, train = sample_of(run.highest_test for run in result.runs), last_train(result)
    seconds = sum(run.seconds for run in result.runs) / len(result.runs)
    rows.append(
        ["mean ± sd", spread(result.accuracy), "", "", "", f"{seconds:.0f}", spread(train),
         spread(peeked)]
    )  # fmt: skip
    return table(headings, rows)


def _seed_row(run: Run) -> list[str]:
    low, high = wilson(run.test_correct, run.test_total)
    train = run.recorded("train_accuracy").get(run.epochs)
    return [
        str(run.seed), percent(run.accuracy), between((100 * low, 100 * high)), str(run.best_epoch),
        str(run.epochs), f"{run.seconds:.0f}", percent(train), percent(run.highest_test),
    ]  # fmt: skip


def last_train(result: Result) -> Sample | None:
    """Return the training accuracy of each run's last epoch."""
    return sample_of(run.recorded("train_accuracy").get(run.epochs) for run in result.runs)


def by_epoch(claims: list[Claim], results: Results) -> str:
    """Return the test accuracy after each epoch beside the page's figures; "" if it gives none."""
    measured = [claim for claim in claims if claim.label in results and not claim.ours]
    if not any(claim.by_epoch for claim in measured):
        return ""
    last = max(run.epochs for claim in measured for run in results[claim.label].runs)
    rows = []
    for epoch in range(1, last + 1):
        stated = _distinct(str(c.by_epoch[epoch]) for c in claims if epoch in c.by_epoch)
        cells = [_epoch_cell(claim, results[claim.label], epoch) for claim in measured]
        rows.append([str(epoch), " / ".join(stated) or NONE, *cells])
    return table(["epoch", "page, %", *(f"`{claim.label}`" for claim in measured)], rows)


def _epoch_cell(claim: Claim, result: Result, epoch: int) -> str:
    sample = result.recorded("test_accuracy", epoch)
    if sample is None:
        return NONE
    missing = len(result.runs) - len(sample.values)
    text = spread(sample) + (f" ({plural(len(sample.values), 'seed')})" if missing else "")
    if epoch in claim.by_epoch:
        text += " ✓" if claim.by_epoch[epoch].reached_by(sample.mean) else " ✗"
    return text


def origins(claims: Claims, results: Results) -> str:
    """Return where each result comes from: fingerprint, overrides, commit, device, time."""
    headings = ["result", "recipe fingerprint", "changed from the shipped recipe", "commit",
                "device", "seeds", "mean seconds"]  # fmt: skip
    rows = []
    for wanted in claims.measured:
        result = results.get(wanted.label)
        if result is None:
            rows.append([f"`{wanted.label}`", NOT_MEASURED, *[NONE] * 3, "0", NONE])
            continue
        changes = ", ".join(f"`{word}`" for word in result.overrides) or NONE
        found = _environments([result])
        places = [found.get(key, NONE) for key in ("commit", "device")]
        seconds = sum(run.seconds for run in result.runs) / len(result.runs)
        numbers = [", ".join(str(run.seed) for run in result.runs), f"{seconds:.0f}"]
        rows.append([f"`{wanted.label}`", f"`{result.fingerprint}`", changes, *places, *numbers])
    return table(headings, rows, texts=(0, 1, 2, 3, 4, 5))


def environments(results: Results) -> str:
    """Return what all runs ran on: every value that occurs."""
    rows = _environments(results.values()).items()
    return table(["what", "found in the files"], [list(row) for row in rows], texts=(0, 1))


def _environments(results: Iterable[Result]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for run in (run for result in results for run in result.runs):
        for key, value in run.environment.items():
            found.setdefault(key, []).append(value)
    words = {key: ", ".join(filter(None, _distinct(values))) for key, values in found.items()}
    return {key: value for key, value in words.items() if value}


def readme(claims: Claims, results: Results) -> str:
    """Return the compact table of the README."""
    rows = [_readme_row(claims.labelled(label), results) for label in claims.readme.recipes]
    headings = ["recipe", "parameters", "epochs", "test accuracy, % (mean ± sd)", "what it is"]
    return table(headings, rows, texts=(0, 4))


def _readme_row(claim: Claim, results: Results) -> list[str]:
    title, result = recipe_of(claim).title, results.get(claim.label)
    if result is None:
        return [f"`{claim.label}`", NONE, NONE, NOT_MEASURED, title]
    accuracy = f"{spread(result.accuracy)} ({plural(len(result.runs), 'seed')})"
    epochs = span([run.epochs for run in result.runs])
    return [f"`{claim.label}`", f"{result.parameters:,}", epochs, accuracy, title]


def _distinct(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))
