"""Every setting of the service, defined once: the command's options and the docs' table."""

from __future__ import annotations

import math
import os
from dataclasses import Field, dataclass, field, fields
from typing import Any

from kilonet.errors import UsageError

MOST_PORT = 65_535


def _setting(default: Any, unit: str, words: str, least: float, most: float = math.inf) -> Any:
    facts = {"unit": unit, "words": words, "least": least, "most": most}
    return field(default=default, metadata=facts)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Settings:
    """What the service listens on, and what it refuses to be made to do.

    Raises:
        UsageError: a value is out of its range.
    """

    host: str = field(default="127.0.0.1", metadata={"words": "Address to listen on."})
    port: int = _setting(8000, "", "Port to listen on; 0 takes a free one.", 0, MOST_PORT)
    workers: int = _setting(
        0, "processes", "Processes that prepare and read pictures; 0 is one a core.", 0, 1024
    )
    max_body: int = _setting(8_000_000, "bytes", "Largest request body; more is a 413.", 1)
    max_pixels: int = _setting(
        16_000_000, "pixels", "Largest picture, known before it is decoded; more is a 413.", 784
    )
    max_batch: int = _setting(64, "pictures", "Most pictures in one request; more is a 413.", 1)
    max_at_once: int = _setting(
        128, "requests", "Predictions under way at once, their bodies in memory; more are a 503.", 1
    )
    body_seconds: float = _setting(
        10.0, "seconds", "Time for a body to arrive; later is a 408.", 0.01
    )
    work_seconds: float = _setting(
        10.0, "seconds", "Time to wait for an answer from the workers; later is a 503.", 0.01
    )
    stop_seconds: int = _setting(
        30, "seconds", "Time that requests under way get to finish when the service is stopped.", 1
    )

    def __post_init__(self) -> None:
        """Check the ranges."""
        for one in fields(self):
            value, facts = getattr(self, one.name), one.metadata
            if "least" in facts and not facts["least"] <= value <= facts["most"]:
                raise UsageError(_out_of_range(one, value))

    @property
    def processes(self) -> int:
        """How many workers there are."""
        return self.workers or _cores()


def option(name: str) -> str:
    """Return the command line's name of the setting ``name``."""
    return f"--{name.replace('_', '-')}"


def words(name: str) -> str:
    """Return the sentence on the setting ``name``."""
    return next(str(one.metadata["words"]) for one in fields(Settings) if one.name == name)


def limits_table() -> str:
    """Return all settings as a Markdown table."""
    rows = [
        f"| `{option(one.name)}` | {_shown(one.default)} | {one.metadata.get('unit') or '–'} | "
        f"{one.metadata['words']} |"
        for one in fields(Settings)
    ]
    return "\n".join(
        ["| option | default | unit | what it does |", "| :--- | ---: | :--- | :--- |", *rows]
    )


def _shown(value: Any) -> str:
    return (
        f"{value:,}"
        if isinstance(value, int) and value > MOST_PORT
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def _out_of_range(one: Field[Any], value: Any) -> str:
    least, most = one.metadata["least"], one.metadata["most"]
    range_ = f"at least {least:g}" if most == math.inf else f"{least:g} to {most:g}"
    return f"{option(one.name)} is {value}; it must be {range_}. {one.metadata['words']}"
