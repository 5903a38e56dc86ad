"""The tables of the pages on shipping, the service, pictures, robustness and studies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from doc_tables.exports import forms
from doc_tables.markdown import interval, percent, plural, read_json, table
from kilonet.errors import UsageError
from kilonet.evaluation.distortions import DISTORTIONS
from kilonet.evaluation.statistics import wilson

EXACT = {"onnx": "ONNX", "html": "HTML page in Chromium", "c": "C, float", "lambda": "Lambda"}
ROBUST = "kilonet-25k-robust"
REASONS = {
    "blank": "one grey all over",
    "noise": "random pixels",
    "too-small": "a dot of at most five pixels",
    "several": "two to four digits side by side",
}


def shipping(results: Path) -> str:
    """Return the main figures of exports, service and predictions."""
    rows = [
        *(_agreement(results, target, title) for target, title in EXACT.items()),
        *(_loss(results, target, title) for target, title in {"onnx": "ONNX", "c": "C"}.items()),
        *_networks(results),
        *_service(results),
        _hostile(results),
        *_pictures(results),
    ]
    return table(["figure", "measured"], rows, left=(0, 1))


def _agreement(results: Path, target: str, title: str) -> list[str]:
    found = [form.verification for _, form in forms(results, target)]
    same = min(each.same_labels for each in found)
    difference = max(each.largest_logit_difference for each in found)
    figure = f"{title}: test images with PyTorch's label; largest difference of a logit"
    return [figure, f"{same:,}; {difference:.1e}"]


def _loss(results: Path, target: str, title: str) -> list[str]:
    lost = [
        f"`{network.recipe}` {100 * (found.pytorch_accuracy - found.accuracy):.2f}"
        for network, form in forms(results, f"{target}-int8")
        for found in [form.verification]
    ]
    return [f"{title} in int8: accuracy lost, points", ", ".join(lost)]


def _networks(results: Path) -> list[list[str]]:
    (small,) = [
        form for network, form in forms(results, "c-int8") if network.recipe == "kilonet-8k"
    ]
    (fast,) = [
        form.verification for network, form in forms(results, "onnx") if network.recipe == "gap-14k"
    ]
    flash, ram = small.budget["weight_bytes"], small.budget["arena_bytes"]
    accuracy = percent(100 * small.verification.accuracy)
    times = f"{fast.milliseconds:.3f}; {fast.pytorch_milliseconds / fast.milliseconds:.1f}"
    return [
        [
            "`kilonet-8k` as C in int8: weights and tables, accuracy (RAM)",
            f"{flash:,} bytes at {accuracy} % ({ram:,} bytes)",
        ],
        ["`gap-14k` in ONNX Runtime, one picture, one core: ms; times faster than PyTorch", times],
    ]


def _service(results: Path) -> list[list[str]]:
    found = read_json(results / "service.json")
    load, (first, *_, last) = found["load"], found["memory"]
    rate, failed = load["requests"] / load["seconds"], load["refused"] + load["lost"]
    memory = f"{first['bytes'] / 1e6:.0f} MB, then {last['bytes'] / 1e6:.0f} MB"
    figure = (
        f"service, loopback, {found['connections']} connections: predictions a second; failed; "
    )
    return [
        [f"{figure}99 % within, ms", f"{rate:,.0f}; {failed or 'none'}; {load['p99_ms']:.0f}"],
        ["memory of the service", f"{memory} after {last['requests']:,} requests"],
    ]


def _hostile(results: Path) -> list[str]:
    found = read_json(results / "fuzz.json")
    figure = "hostile requests: answered with a 500, wrongly, or not survived"
    return [figure, f"{len(found['faults']) or 'none'} of {found['requests']:,}"]


def _pictures(results: Path) -> list[list[str]]:
    seeds = next(each for each in read_robustness(results) if each[0]["recipe"] == ROBUST)
    alone, prepared = (100 * fmean(one[way]["mean"] for one in seeds) for way in ("alone", "read"))
    found = read_json(results / "pictures-development.json")
    kinds = found["digits"].values()
    right, total = (sum(kind[key] for kind in kinds) for key in ("right", "total"))
    return [
        [
            f"`{ROBUST}`: mean over eight kinds of distortion (as a picture)",
            f"{percent(alone)} % ({percent(prepared)} %)",
        ],
        [
            f"drawings, scans and photographs made for development: correct, by "
            f"`{found['network']['recipe']}`",
            f"{percent(100 * right / total)} % of {total:,}",
        ],
    ]


def service(results: Path) -> str:
    """Return the throughput and latency of the service, and where they were measured."""
    found = read_json(results / "service.json")
    load, facts, (first, *_, last) = found["load"], found["environment"], found["memory"]
    figures = [
        f"{load['requests'] / load['seconds']:,.0f}", f"{load['requests']:,}",
        str(load["refused"] + load["lost"]),
        *(f"{load[key]:.0f}" for key in ("p50_ms", "p99_ms", "longest_ms")),
    ]  # fmt: skip
    headings = ["predictions a second", "requests", "failed", "median, ms", "99 %, ms"]
    rows = [
        ["model", f"`{found['model']}`"],
        ["connections, workers", f"{found['connections']}, {found['workers']}"],
        ["cores used by the client (wrk)", f"{load['client_cores']:.2f}"],
        ["cores used by the front process", f"{load['front_cores']:.2f}"],
        ["cores used by the workers", f"{load['worker_cores']:.2f}"],
        ["cores used by other programs", f"{found['busy']:.2f}"],
        *([f"memory after {each['requests']:,} requests", f"{each['bytes'] / 1e6:.0f} MB"]
          for each in (first, last)),
        ["machine", f"{facts['cores']} cores of {facts['processor']}"],
        ["versions", f"ONNX Runtime {facts['onnxruntime']}, Python {facts['python']}"],
        ["commit, date", f"`{facts['commit']}`, {found['date']}"],
    ]  # fmt: skip
    return f"{table([*headings, 'longest, ms'], [figures])}\n\n{table(['', ''], rows, left=(0, 1))}"


def pictures(results: Path) -> str:
    """Return how many pictures of each kind of the development set are predicted correctly."""
    found = read_json(results / "pictures-development.json")["digits"]
    whole = {
        key: sum(kind[key] for kind in found.values()) for key in ("total", "right", "refused")
    }
    rows = [_pictures_row(kind, count) for kind, count in (*found.items(), ("all", whole))]
    headings = ["kind", "pictures", "correct, %", "95 % Wilson interval", "refused"]
    return table(headings, rows, left=(0,))


def _pictures_row(kind: str, count: dict[str, int]) -> list[str]:
    low, high = wilson(count["right"], count["total"])
    share = percent(100 * count["right"] / count["total"])
    bounds = interval((100 * low, 100 * high))
    return [kind, str(count["total"]), share, bounds, str(count["refused"])]


def refusals(results: Path) -> str:
    """Return how many pictures without a single digit are refused, and with which error."""
    rows = [
        [REASONS[kind], kind, *(str(count[key]) for key in ("total", "refused", "as_named"))]
        for kind, count in read_json(results / "pictures-development.json")["refusals"].items()
    ]
    headings = ["what is no single digit", "error", "pictures", "refused", "with that error"]
    return table(headings, rows, left=(0, 1))


def confidences(results: Path) -> str:
    """Return what each minimum confidence accepts of digits, letters and scribbles."""
    found = read_json(results / "pictures-development.json")
    digits, letters, scribbles = (
        found["sure"][kind] for kind in ("digits", "letters", "scribbles")
    )
    rows = [
        [
            f"{minimum:g}",
            percent(100 * digits["read"][place] / digits["total"]),
            percent(100 * digits["right"][place] / digits["read"][place]),
            percent(100 * letters["read"][place] / letters["total"]),
            percent(100 * scribbles["read"][place] / scribbles["total"]),
        ]
        for place, minimum in enumerate(found["confidences"])
    ]
    headings = ["minimum confidence", "digits accepted, %", "of these correct, %"]
    headings += [f"{letters['total']} letters accepted, %"]
    return table([*headings, f"{scribbles['total']} scribbles accepted, %"], rows)


def pictures_source(results: Path) -> str:
    """Return which network predicted the development set, and on which machine."""
    found = read_json(results / "pictures-development.json")
    network, where = found["network"], found["environment"]
    rows = [
        ["network", f"`{network['recipe']}`, {network['parameters']:,} parameters"],
        ["recipe fingerprint", f"`{network['fingerprint']}`"],
        ["trained on", f"{percent(100 * (1 - network['held_back']), 0)} % of the training images, "
                       f"{network['epochs']} epochs"],
        ["preparing a plain picture", f"{found['milliseconds']['plain']} ms"],
        ["measured with", f"NumPy {where['numpy']}, Pillow {where['pillow']}"],
        ["processor", where["processor"]],
        ["commit", f"`{where['commit'] or 'unknown'}`"],
    ]  # fmt: skip
    return table(["", ""], rows, left=(0, 1))


Seeds = list[dict[str, Any]]


def read_robustness(results: Path) -> list[Seeds]:
    """Return the stored measurements, by recipe, sorted by the number of parameters.

    Raises:
        UsageError: a file has another grid of distortions, or not all test images.
    """
    recipes: dict[str, Seeds] = {}
    for path in sorted(results.glob("robustness-*.json")):
        found = read_json(path)
        grid = [(kind.name, strength) for kind in DISTORTIONS for strength in kind.strengths]
        cells = [(cell["kind"], cell["strength"]) for cell in found["cells"]]
        if cells != grid or (found["part"], found["images"]) != ("test", found["available"]):
            raise UsageError(
                f"{path} has another grid of distortions, or not all test images. "
                "Measure again: kilonet evaluate RUN --robustness --images 10000"
            )
        recipes.setdefault(found["fingerprint"], []).append(found)
    return sorted(recipes.values(), key=lambda each: (each[0]["parameters"], each[0]["recipe"]))


def robustness(results: Path) -> str:
    """Return the mean accuracy over all distortions, for each recipe."""
    headings = ["recipe", "parameters", "undistorted", "network alone", "as a picture", ""]
    rows = [
        [
            f"`{seeds[0]['recipe']}`", f"{seeds[0]['parameters']:,}",
            _over(seeds, lambda one: one["undistorted"]["alone"] / one["images"]),
            _over(seeds, lambda one: one["alone"]["mean"]),
            _over(seeds, lambda one: one["read"]["mean"]), plural(len(seeds), "seed"),
        ]
        for seeds in read_robustness(results)
    ]  # fmt: skip
    return table(headings, rows, left=(0,))


def _over(seeds: Seeds, figure: Callable[[dict[str, Any]], float]) -> str:
    values = [100 * figure(one) for one in seeds]
    deviation = f" ± {percent(stdev(values))}" if len(values) > 1 else ""
    return percent(fmean(values)) + deviation


def robustness_kinds(results: Path) -> str:
    """Return the mean accuracy for each kind of distortion: network alone / as a picture."""
    headings = ["recipe", *(kind.name for kind in DISTORTIONS)]
    rows = [
        [f"`{seeds[0]['recipe']}`", *(_both(seeds, kind.name) for kind in DISTORTIONS)]
        for seeds in read_robustness(results)
    ]
    return table(headings, rows, left=(0,))


def _both(seeds: Seeds, kind: str) -> str:
    means = (
        fmean(
            fmean(100 * cell[way] / one["images"] for cell in one["cells"] if cell["kind"] == kind)
            for one in seeds
        )
        for way in ("alone", "read")
    )
    return " / ".join(percent(mean, 1) for mean in means)


def robustness_source(results: Path) -> str:
    """Return the recipes, seeds and versions of the measurement."""
    rows = [
        [
            f"`{seeds[0]['recipe']}`", f"`{seeds[0]['fingerprint']}`",
            ", ".join(str(one["training_seed"]) for one in seeds),
            _versions(seeds[0]["environment"]),
        ]
        for seeds in read_robustness(results)
    ]  # fmt: skip
    return table(["recipe", "fingerprint", "seeds", "measured with"], rows, left=range(4))


def _versions(where: dict[str, str]) -> str:
    return (
        f"commit `{where['commit'] or 'unknown'}`, PyTorch {where['torch']}, NumPy "
        f"{where['numpy']}, SciPy {where['scipy']}, {where['processor']}"
    )


def study_example(results: Path) -> str:
    """Return the example study's command and its output."""
    found = read_json(results / "studies.json")["example"]
    return f"```console\n$ {found['command']}\n{found['said']}\n```"


def studies(results: Path) -> str:
    """Return what a study costs, what it survives, and what Ray and processes gain."""
    found = read_json(results / "studies.json")
    killed, ray = found["killed"], found["ray"]
    overhead = " and ".join(f"{100 * (each - 1):+.1f} %" for each in found["overhead"]["ratios"])
    table_of = "the same" if killed["same_table"] else "not the same"
    rows: Sequence[list[str]] = [
        [
            f"{killed['runs']} runs, killed at random: table compared with an undisturbed study",
            f"{table_of}, after {killed['kills']} kills",
        ],
        ["the example above", f"{found['example']['seconds']:.0f} s"],
        ["time of a study compared with its runs alone, two cores", overhead],
        ["Ray, two workers against one", f"{ray['speedup']:.2f}×"],
        ["two plain processes against one", f"{found['plain']['speedup']:.2f}×"],
    ]
    return table(["figure", "measured"], rows, left=(0, 1))
