"""The rows of the tables of data sets, exports, service, pictures, robustness and studies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from doc_tables.tables import Row, percent, read_json, table
from kilonet.data.registry import DATASETS
from kilonet.errors import UsageError
from kilonet.evaluation.distortions import DISTORTIONS
from kilonet.evaluation.statistics import wilson
from kilonet.report.formatting import plural

FORMS = {
    "onnx": "ONNX",
    "onnx-raw": "ONNX, raw",
    "onnx-int8": "ONNX, int8",
    "c": "C, float",
    "c-int8": "C, int8",
    "html": "HTML page",
    "lambda": "Lambda archive",
}
REASONS = {
    "blank": "one grey all over",
    "noise": "random pixels",
    "too-small": "a dot of at most five pixels",
    "several": "two to four digits side by side",
}
SCORES = {"digit_score": "the digit score", "confidence": "the network's largest probability"}
ROBUST = "kilonet-25k-robust"
EASY = 0.99  # of a handwritten shape: networks that predict so many correctly do not differ


def datasets(_: Path) -> Iterator[Row]:
    """Yield the size and the normalisation of each data set."""
    for spec in DATASETS.values():
        channels, height, width = spec.shape
        yield {
            "spec": spec,
            "height": height,
            "width": width,
            "colour": "grey" if channels == 1 else "colour",
            "classes": len(spec.classes),
            "mean": _numbers(spec.mean),
            "std": _numbers(spec.std),
        }


def _numbers(values: tuple[float, ...] | None) -> str:
    return ", ".join(f"{value:.4f}" for value in values) if values else "computed"


def sources(_: Path) -> Iterator[Row]:
    """Yield where each data set is downloaded from, and how its files are verified."""
    for spec in DATASETS.values():
        if spec.files:
            known = sum(file.sha256 is not None for file in spec.files.values())
            archive = spec.archive
            yield {
                "spec": spec,
                "fetched": f"`{archive.filename}`" if archive else f"{len(spec.files)} files",
                "md5": f"`{archive.md5}`" if archive else "of each file",
                "checked": f"SHA-256 of {known} files"
                if known
                else "number, shape, labels, CRC-32",
                "mirrors": "; ".join(spec.mirrors),
            }


def read_exported(results: Path) -> list[Any]:
    """Return all stored exports, by the number of parameters."""
    exported = [read_json(path) for path in results.glob("export-*.json")]
    return sorted(exported, key=lambda each: (each["parameters"], each["recipe"]))


def boards(results: Path) -> Iterator[Row]:
    """Yield what each network needs and computes on each emulated microcontroller."""
    for network in read_exported(results):
        path = results / f"boards-{network['recipe']}.json"
        forms = {form["target"]: form["verification"] for form in network["forms"]}
        for board in read_json(path)["boards"] if path.exists() else ():
            yield {
                "network": network,
                "accuracy": forms["c-int8"]["accuracy"],
                "board": board,
                "milliseconds": board["ticks"] / BOARD_KILOHERTZ[board["unit"]],
            }


BOARD_KILOHERTZ = {"instructions": 48_000, "cycles": 16_000}
"""The clocks for which times are given: of an AVR, which counts cycles, and of the others."""


def export_forms(results: Path) -> Iterator[Row]:
    """Yield the agreement, time and size of each form of each network."""
    for network in read_exported(results):
        for form in network["forms"]:
            found, budget = form["verification"], form["budget"]
            yield {
                "network": network,
                "trained": plural(network["epochs"], "epoch"),
                "target": form["target"],
                "title": FORMS[form["target"]],
                "found": found,
                "faster": found["pytorch_milliseconds"] / found["milliseconds"],
                "size": sum(form["bytes"].values()),
                "flash": budget.get("weight_bytes"),
                "ram": budget.get("arena_bytes"),
                "stack": budget.get("stack_bytes"),
            }


def largest_export(results: Path) -> Iterator[Row]:
    """Yield the largest network, and the largest one with a Lambda archive."""
    networks = read_exported(results)
    *_, archive = (each for one in networks for each in one["forms"] if each["target"] == "lambda")
    yield {"network": networks[-1], "archive": archive, "packed": max(archive["bytes"].values())}


def export_dates(results: Path) -> Iterator[Row]:
    """Yield when, where and with which versions the exports were measured."""
    network = read_exported(results)[-1]
    yield {"forms": "all forms", "when": network}
    for form, when in network.get("again", {}).items():
        yield {"forms": f"`{form}`, again", "when": when}


def shipping(results: Path) -> Iterator[Row]:
    """Yield the main figures of exports, service and predictions."""
    forms = {
        target: [row for row in export_forms(results) if row["target"] == target]
        for target in FORMS
    }
    small, fast = (
        next(row for row in forms[target] if row["network"]["recipe"] == recipe)
        for target, recipe in (("c-int8", "kilonet-8k"), ("onnx", "gap-14k"))
    )
    robust = next(each for each in robustness(results) if each["recipe"] == ROBUST)["runs"]
    developed = read_pictures(results)
    right, total = (
        sum(kind[key] for kind in developed["digits"].values()) for key in ("right", "total")
    )
    yield {
        **{target: _agreement(forms[target]) for target in ("onnx", "html", "c", "lambda")},
        "onnx_int8": _accuracy_lost(forms["onnx-int8"]),
        "c_int8": _accuracy_lost(forms["c-int8"]),
        "small": small,
        "fast": fast,
        "service": next(service(results)),
        "robust": ROBUST,
        **{way: fmean(run[way]["mean"] for run in robust) for way in ("alone", "read")},
        "pictures": developed,
        "right": right / total,
        "total": total,
    }


def _agreement(forms: list[Row]) -> str:
    same = min(row["found"]["same_labels"] for row in forms)
    return f"{same:,}; {max(row['found']['largest_logit_difference'] for row in forms):.1e}"


def _accuracy_lost(forms: list[Row]) -> str:
    lost = [
        f"`{row['network']['recipe']}` "
        f"{100 * (row['found']['pytorch_accuracy'] - row['found']['accuracy']):.2f}"
        for row in forms
    ]
    return ", ".join(lost)


def service(results: Path) -> Iterator[Row]:
    """Yield the throughput, latency and memory of the service."""
    found = read_json(results / "service.json")
    load, (first, *_, last) = found["load"], found["memory"]
    failed = load["refused"] + load["lost"]
    rate = load["requests"] / load["seconds"]
    yield found | {"rate": rate, "failed": failed, "first": first, "last": last}


def read_pictures(results: Path) -> Any:
    """Return what was measured on the pictures made for development."""
    return read_json(results / "pictures-development.json")


def pictures(results: Path) -> Iterator[Row]:
    """Yield how many pictures of each kind of the development set are predicted correctly."""
    return _kinds(read_pictures(results)["digits"], "right", ("total", "right", "refused", "cut"))


def _kinds(
    found: Mapping[str, Mapping[str, int]], counted: str, keys: Sequence[str]
) -> Iterator[Row]:
    """Yield the counts of each kind and of all, with the share of ``counted`` and its interval."""
    whole = {key: sum(kind[key] for kind in found.values()) for key in keys}
    for kind, count in (*found.items(), ("all", whole)):
        low, high = wilson(count[counted], count["total"])
        share, bounds = count[counted] / count["total"], (100 * low, 100 * high)
        yield {"kind": kind, "share": share, "bounds": bounds, **count}


def refusals(results: Path) -> Iterator[Row]:
    """Yield how many pictures without a single digit are refused, and with which error."""
    for kind, count in read_pictures(results)["refusals"].items():
        yield {"reason": REASONS[kind], "kind": kind, **count}


def non_digits(results: Path) -> Iterator[Row]:
    """Yield how many pictures of other things are refused, and how many of them as empty."""
    return _kinds(read_pictures(results)["non_digits"], "refused", ("total", "refused", "empty"))


def rejection(results: Path) -> Iterator[Row]:
    """Yield what each minimum score refuses of digits and of other pictures."""
    yield from read_pictures(results)["curve"]


def scores(results: Path) -> Iterator[Row]:
    """Yield what the score of the detector and the network's own probability refuse."""
    for name, found in read_pictures(results)["scores"].items():
        yield {"name": SCORES[name], **found}


def handwriting(results: Path) -> Iterator[Row]:
    """Yield what a training without and one with drawn digits predict correctly, shape by shape.

    Shapes that both predict almost always are counted together.
    """
    runs = read_json(results / "handwriting.json")["runs"]
    before, after = (run["shapes"] for run in sorted(runs, key=lambda run: run["handwriting"]))
    easy = {
        shape for shape in before if min(_share(before, [shape]), _share(after, [shape])) > EASY
    }
    groups = {shape: [shape] for shape in before if shape not in easy}
    for name, shapes in {**groups, f"{len(easy)} other shapes": sorted(easy)}.items():
        total = sum(before[shape]["total"] for shape in shapes)
        shares = {"without": _share(before, shapes), "with": _share(after, shapes)}
        yield {"shape": name, "total": total, **shares}


def _share(shapes: Any, chosen: list[str]) -> float:
    counts = [shapes[shape] for shape in chosen]
    return sum(count["right"] for count in counts) / sum(count["total"] for count in counts)


def pictures_source(results: Path) -> Iterator[Row]:
    """Yield which network predicted the development set, and on which machine."""
    found = read_pictures(results)
    yield found | {"trained": 100 * (1 - found["network"]["held_back"])}


def robustness(results: Path) -> Iterator[Row]:
    """Yield the measurements of each recipe, sorted by the number of parameters.

    Raises:
        UsageError: a file has another grid of distortions, or not all test images.
    """
    recipes: dict[str, list[dict[str, Any]]] = {}
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
    for runs in sorted(
        recipes.values(), key=lambda each: (each[0]["parameters"], each[0]["recipe"])
    ):
        yield runs[0] | {
            "runs": runs,
            "number": len(runs),
            "seeds": [run["training_seed"] for run in runs],
            "undistorted": _over(runs, lambda run: run["undistorted"]["alone"] / run["images"]),
            "alone": _over(runs, lambda run: run["alone"]["mean"]),
            "read": _over(runs, lambda run: run["read"]["mean"]),
        }


def _over(runs: list[dict[str, Any]], figure: Callable[[dict[str, Any]], float]) -> str:
    values = [100 * figure(run) for run in runs]
    deviation = f" ± {percent(stdev(values))}" if len(values) > 1 else ""
    return percent(fmean(values)) + deviation


def robustness_kinds(results: Path) -> str:
    """Return the mean accuracy for each kind of distortion: network alone / as a picture."""
    headings = ["recipe", *(kind.name for kind in DISTORTIONS)]
    rows = [
        [f"`{each['recipe']}`", *(_both(each["runs"], kind.name) for kind in DISTORTIONS)]
        for each in robustness(results)
    ]
    return table(headings, rows, left=(0,))


def _both(runs: list[dict[str, Any]], kind: str) -> str:
    means = [
        fmean(
            100 * cell[way] / run["images"]
            for run in runs
            for cell in run["cells"]
            if cell["kind"] == kind
        )
        for way in ("alone", "read")
    ]
    return " / ".join(percent(mean, 1) for mean in means)


ROWS = (
    boards, datasets, export_dates, export_forms, handwriting, largest_export, non_digits,
    pictures, pictures_source, refusals, rejection, robustness, scores, service, shipping, sources,
)  # fmt: skip
