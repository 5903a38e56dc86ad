"""The text of ``docs/shipping.md``: what exports, service and reading set out for and reached."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from exporting.measured import Exported, Form, read_exported
from goals import Goal, goals_table
from rendering import render
from reproduction.words import NONE, percent
from robustness.page import read_results as read_robustness
from serving.page import Measured, read_measured

IMAGES, CLOSE = 10_000, 1e-3
LOST = 0.05  # percentage points
FLASH, ACCURATE = 9_000, 99.5  # bytes; percent
LATENCY, FASTER = 0.10, 4.0  # milliseconds; times
RATE, SLOWEST = 1_000, 150  # predictions a second; milliseconds
HOSTILE = 10_000  # requests
READ = 99.0  # percent
ROBUST = 97.0  # percent
WAYS = ("alone", "read")
EXACT = {"onnx": "ONNX", "html": "HTML page in Chromium", "c": "C, float", "lambda": "Lambda"}


def shipping(results: Path) -> str:
    """Return the page, of what is in the folder ``results``."""
    exported = read_exported(results)
    goals = [
        *(_agreement(title, list(_forms(exported, target))) for target, title in EXACT.items()),
        *(_loss(title, exported, target) for target, title in (("onnx", "ONNX"), ("c", "C"))),
        _microcontroller(exported),
        _latency(exported),
        *_service(read_measured(results / "service.json")),
        _hostile(results / "fuzz.json"),
        _robust(results),
        _drawings(results / "pictures-development.json"),
    ]
    return render(Path(__file__).with_name("page.md.j2"), goals=goals_table(goals))


def _forms(exported: Sequence[Exported], target: str) -> Iterable[Form]:
    return (form for network in exported for form in network.forms if form.target == target)


def _agreement(title: str, forms: Sequence[Form]) -> Goal:
    figure = f"{title}: test images with PyTorch's label; largest difference of a logit"
    goal = f"{IMAGES:,} of {IMAGES:,}; {CLOSE:g}"
    if not forms:
        return Goal(figure, goal, NONE, None)
    same = min(form.verification.same_labels for form in forms)
    difference = max(form.verification.largest_logit_difference for form in forms)
    return Goal(figure, goal, f"{same:,}; {difference:.1e}", same == IMAGES and difference <= CLOSE)


def _loss(title: str, exported: Sequence[Exported], target: str) -> Goal:
    figure, goal = f"{title} in int8: accuracy lost, points", f"≤ {LOST:g}"
    lost = {
        network.recipe: 100 * (seen.pytorch_accuracy - seen.accuracy)
        for network in exported
        for form in network.forms
        if form.target == f"{target}-int8"
        for seen in [form.verification]
    }
    if not lost:
        return Goal(figure, goal, NONE, None)
    said = ", ".join(f"`{name}` {points:.2f}" for name, points in lost.items())
    return Goal(figure, goal, said, round(max(lost.values()), 6) <= LOST)


def _microcontroller(exported: Sequence[Exported]) -> Goal:
    figure = "C in int8, near 8,000 parameters: weights and tables, accuracy (RAM)"
    goal = f"≤ {FLASH:,} bytes at ≥ {ACCURATE} % (8,000 bytes)"
    for network in exported:
        for form in _forms([network], "c-int8"):
            if network.recipe != "kilonet-8k":
                continue
            flash, ram = form.budget["weight_bytes"], form.budget["arena_bytes"]
            accuracy = 100 * form.verification.accuracy
            said = f"{flash:,} bytes at {percent(accuracy)} % ({ram:,} bytes)"
            return Goal(figure, goal, said, flash <= FLASH and accuracy >= ACCURATE)
    return Goal(figure, goal, NONE, None)


def _latency(exported: Sequence[Exported]) -> Goal:
    figure = "ONNX Runtime, one picture, one core: ms; times faster than eager PyTorch"
    goal = f"≤ {LATENCY:.2f} for `gap-14k`; ≥ {FASTER:g}"
    for network in exported:
        for form in _forms([network], "onnx"):
            if network.recipe == "gap-14k":
                seen = form.verification
                faster = seen.pytorch_milliseconds / seen.milliseconds
                met = seen.milliseconds <= LATENCY and faster >= FASTER
                return Goal(figure, goal, f"{seen.milliseconds:.3f}; {faster:.1f}", met)
    return Goal(figure, goal, NONE, None)


def _service(found: Measured | None) -> list[Goal]:
    figure = "service, loopback, 64 connections: predictions a second; failed; 99 % within, ms"
    goal = f"≥ {RATE:,}; none; < {SLOWEST}"
    flat = "its memory over 100,000 requests"
    if found is None:
        return [Goal(figure, goal, NONE, None), Goal(flat, "flat", NONE, None)]
    load, bad = found.load, found.load.refused + found.load.lost
    rate = load.requests / load.seconds
    met = rate >= RATE and not bad and load.p99_ms < SLOWEST
    said = f"{rate:,.0f}; {bad or 'none'}; {load.p99_ms:.0f}"
    first, last = found.memory[0], found.memory[-1]
    grown = last.bytes / first.bytes - 1
    told = f"{first.bytes / 1e6:.0f} MB, then {last.bytes / 1e6:.0f} MB after {last.requests:,}"
    return [
        Goal(figure, goal, said, met),
        Goal(flat, "flat", told, grown < 0.05 and last.requests >= 100_000),
    ]


def _stored(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _hostile(path: Path) -> Goal:
    figure = "hostile requests: answered with a 500, wrongly, or not survived"
    goal = f"none of {HOSTILE:,}"
    found = _stored(path)
    if found is None:
        return Goal(figure, goal, NONE, None)
    faults, requests = len(found["faults"]), found["requests"]
    return Goal(
        figure, goal, f"{faults or 'none'} of {requests:,}", not faults and requests >= HOSTILE
    )


def _robust(results: Path) -> Goal:
    figure = "`kilonet-25k-robust`: mean over eight kinds of distortion (as a picture)"
    goal = f"≥ {ROBUST:g} %"
    for seeds in read_robustness(results):
        if seeds[0].recipe == "kilonet-25k-robust":
            alone, read = (100 * fmean(getattr(s, way).mean for s in seeds) for way in WAYS)
            said = f"{percent(alone)} % ({percent(read)} %)"
            return Goal(figure, goal, said, alone >= ROBUST)
    return Goal(figure, goal, NONE, None)


def _drawings(path: Path) -> Goal:
    figure = "drawings, scans and photographs made for development, read right"
    goal = f"≥ {READ:g} % over all"
    found = _stored(path)
    if found is None:
        return Goal(figure, goal, NONE, None)
    kinds = found["digits"].values()
    right, total = (sum(kind[key] for kind in kinds) for key in ("right", "total"))
    said = f"{percent(100 * right / total)} % of {total:,}, by `{found['network']['recipe']}`"
    return Goal(figure, goal, said, 100 * right / total >= READ)
