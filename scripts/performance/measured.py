"""What the benchmarks stored: ``results/bench-*.json``, as far as they are there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks.results import Full, Layout, Pieces, Reach, Throughput
from pydantic import ValidationError

from kilonet.errors import UsageError


@dataclass(frozen=True)
class Measured:
    """Each benchmark's result, or None where it has not been run."""

    throughput: Throughput | None
    pieces: Pieces | None
    full: Full | None
    reach: Reach | None


def read_measured(folder: Path) -> Measured:
    """Return what is in ``folder``.

    Raises:
        UsageError: a file is not what the benchmarks write.
    """
    return Measured(
        throughput=_read(folder, "throughput", Throughput),
        pieces=_read(folder, "pieces", Pieces),
        full=_read(folder, "full", Full),
        reach=_read(folder, "reach", Reach),
    )


Kind = TypeVar("Kind", bound=Layout)


def _read(folder: Path, name: str, kind: type[Kind]) -> Kind | None:
    path = folder / f"bench-{name}.json"
    if not path.exists():
        return None
    try:
        return kind.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(f"{path}: {place}: {first['msg']}. Run make bench again.") from None
