"""Write the measured figures into ``docs/serving.md``, from ``results/service.json``.

python scripts/serving/page.py            # after a measurement
python scripts/serving/page.py --check    # exit 1 if the page would change
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt, ValidationError

from kilonet.errors import UsageError
from pictures.page import BEGIN, END
from rendering import write_or_check


class Layout(BaseModel):
    """Nothing that is not described here."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Load(Layout):
    """What wrk measured, and what the processes took meanwhile."""

    requests: PositiveInt
    seconds: PositiveFloat
    refused: int
    lost: int
    p50_ms: float
    p99_ms: float
    longest_ms: float
    client_cores: float
    front_cores: float
    worker_cores: float


class Memory(Layout):
    """All processes' memory after so many requests."""

    requests: int
    bytes: PositiveInt


class Measured(Layout):
    """The content of ``results/service.json``."""

    model: str
    workers: PositiveInt
    connections: PositiveInt
    busy: float
    load: Load
    memory: list[Memory]
    date: str
    environment: dict[str, str]


def read_measured(path: Path) -> Measured | None:
    """Return what was measured, if anything was.

    Raises:
        UsageError: the file is not what ``scripts/measure_service.py`` writes.
    """
    try:
        return Measured.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise UsageError(f"{path}: {reason}. Run scripts/measure_service.py.") from None


def figures(found: Measured | None) -> str:
    """Return the text between the marks."""
    if found is None:
        return "Nothing has been measured yet."
    load, facts = found.load, found.environment
    bad = load.refused + load.lost
    first, last = found.memory[0], found.memory[-1]
    return f"""\
| predictions a second | requests | failed | median, ms | 99 %, ms | longest, ms |
| ---: | ---: | ---: | ---: | ---: | ---: |
| {load.requests / load.seconds:,.0f} | {load.requests:,} | {bad} | {load.p50_ms:.0f} | \
{load.p99_ms:.0f} | {load.longest_ms:.0f} |

{found.connections} connections, {found.workers} workers, `{found.model}`, on {facts["cores"]} \
cores of {facts["processor"]}, client included: of the cores, wrk took {load.client_cores:.2f}, \
the front process {load.front_cores:.2f}, the workers {load.worker_cores:.2f}, and other \
programs {found.busy:.2f}. After {first.requests:,} requests all processes had \
{first.bytes / 1e6:.0f} MB, \
after {last.requests:,} {last.bytes / 1e6:.0f} MB. Commit `{facts["commit"]}`, {found.date}; \
ONNX Runtime {facts["onnxruntime"]}, Python {facts["python"]}."""


def with_figures(page: str, found: Measured | None) -> str:
    """Return the page with the figures of ``found``.

    Raises:
        UsageError: it has no marks to put them between.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UsageError(f"docs/serving.md needs the lines {BEGIN} and {END}.")
    return f"{before}{BEGIN}\n\n{figures(found)}\n\n{END}{after}"


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line asks; return the exit status."""

    def changed(page: str, results: Path) -> str:
        return with_figures(page, read_measured(results / "service.json"))

    return write_or_check("serving", changed, __doc__ or "", arguments)


if __name__ == "__main__":
    sys.exit(main())
