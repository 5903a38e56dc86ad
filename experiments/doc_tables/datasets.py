"""The tables of ``docs/datasets.md``, from the registry and the stored audit of MNIST."""

from __future__ import annotations

from pathlib import Path

from doc_tables.markdown import read_json, table
from kilonet.data.registry import DATASETS
from kilonet.data.specs import DatasetSpec

SHOWN = 15


def datasets(_: Path) -> str:
    """Return one row for each data set."""
    headings = ["name", "what", "images", "each", "classes", "mean", "std", "licence"]
    return table(headings, [_row(entry) for entry in DATASETS.values()], left=(0, 1, 3, 5, 6, 7))


def _row(entry: DatasetSpec) -> list[str]:
    channels, height, width = entry.shape
    return [
        f"`{entry.name}`", f"[{entry.title}]({entry.homepage})",
        f"{entry.train_count:,} + {entry.test_count:,}",
        f"{height}×{width} {'grey' if channels == 1 else 'colour'}", str(len(entry.classes)),
        _numbers(entry.mean), _numbers(entry.std), entry.licence,
    ]  # fmt: skip


def _numbers(values: tuple[float, ...] | None) -> str:
    return ", ".join(f"{value:.4f}" for value in values) if values else "computed"


def sources(_: Path) -> str:
    """Return where each data set is downloaded from, and how its files are verified."""
    headings = ["name", "folder", "what is fetched", "MD5", "what is checked when it is read"]
    rows = [_source(entry) for entry in DATASETS.values() if entry.files]
    return table([*headings, "mirrors"], rows, left=range(6))


def _source(entry: DatasetSpec) -> list[str]:
    known = sum(file.sha256 is not None for file in entry.files.values())
    files, archive = len(entry.files), entry.archive
    return [
        f"`{entry.name}`", f"`{entry.folder}/`",
        f"`{archive.filename}`" if archive else f"{files} files",
        f"`{archive.md5}`" if archive else "of each file",
        f"SHA-256 of {known} files" if known else "number, shape, labels, CRC-32",
        "; ".join(entry.mirrors),
    ]  # fmt: skip


def audit(results: Path) -> str:
    """Return the figures of the audit of MNIST's training images."""
    found = read_json(results / "audit-mnist.json")
    where = found["environment"]
    rows = [
        ["training images", f"{found['images']:,}"],
        ["networks", f"{found['folds']} of `{found['recipe']}`"],
        ["predictions that agree with the label", f"{found['agreement']:.2%}"],
        ["doubtful labels", str(found["doubtful"])],
        ["estimated share of wrong labels", f"{found['estimated_errors'] / found['images']:.2%}"],
        ["measured on", f"{where['processor']}, PyTorch {where['torch']}"],
    ]
    return table(["", ""], rows, left=(0,))


def doubtful(results: Path) -> str:
    """Return the training images of MNIST whose labels are most likely wrong."""
    headings = ["rank", "image", "label", "seems to be", "probability of the label", "of the other"]
    rows = [
        [
            str(row["rank"]), str(row["index"]), row["given"], row["predicted"],
            f"{row['given_probability']:.4f}", f"{row['predicted_probability']:.4f}",
        ]
        for row in read_json(results / "audit-mnist.json")["top"][:SHOWN]
    ]  # fmt: skip
    return table(headings, rows, left=(2, 3))
