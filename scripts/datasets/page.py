"""The text of ``docs/datasets.md``: its tables from the registry and from the stored audit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kilonet.data.registry import DATASETS
from kilonet.data.specs import USUAL_LOOK, DatasetSpec
from rendering import render
from reproduction.words import NONE

SHOWN = 15


def datasets(results: Path) -> str:
    """Return the page, of the registry and of what is in the folder ``results``."""
    entries = DATASETS.values()
    return render(
        Path(__file__).with_name("page.md.j2"),
        sets=[_row(entry) for entry in entries],
        sources=[_source(entry) for entry in entries if entry.files],
        side=USUAL_LOOK.side,
        audit=_audit(results / "audit-mnist.json"),
    )


def _row(entry: DatasetSpec) -> dict[str, str]:
    channels, height, width = entry.shape
    return {
        "name": entry.name,
        "title": f"[{entry.title}]({entry.homepage})",
        "counts": f"{entry.train_count:,} + {entry.test_count:,}",
        "shape": f"{height}×{width} {'grey' if channels == 1 else 'colour'}",
        "classes": str(len(entry.classes)),
        "mean": _numbers(entry.mean),
        "std": _numbers(entry.std),
        "licence": entry.licence,
    }


def _numbers(values: tuple[float, ...] | None) -> str:
    return ", ".join(f"{value:.4f}" for value in values) if values else "computed"


def _source(entry: DatasetSpec) -> dict[str, str]:
    known = sum(file.sha256 is not None for file in entry.files.values())
    files, archive = len(entry.files), entry.archive
    return {
        "name": entry.name,
        "folder": f"{entry.folder}/",
        "files": f"`{archive.filename}`" if archive else f"{files} files",
        "md5": f"`{archive.md5}`" if archive else "of each file",
        "content": f"SHA-256 of {known} files" if known else "number, shape, labels, CRC-32",
        "mirrors": "; ".join(entry.mirrors),
    }


def _audit(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    machine = found["environment"]
    return {
        **found,
        "share": f"{found['estimated_errors'] / found['images']:.2%}",
        "agreement": f"{found['agreement']:.2%}",
        "top": found["top"][:SHOWN],
        "shown": len(found["top"]),
        "machine": f"{machine['processor'] or NONE}, PyTorch {machine['torch']}",
    }
