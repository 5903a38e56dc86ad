"""The settings of the service, which also define the command's options; and the API key."""

from __future__ import annotations

import math
import os
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from kilonet.errors import UsageError

MAX_PORT = 65_535
KEY_VARIABLE = "KILONET_API_KEY"
MIN_KEY_LENGTH = 16  # characters


def _setting(default: Any, text: str, minimum: float, maximum: float = math.inf) -> Any:
    metadata = {"help": text, "minimum": minimum, "maximum": maximum}
    return field(default=default, metadata=metadata)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Settings:
    """The address, the number of workers and the limits of the service.

    Raises:
        UsageError: a value is out of range.
    """

    host: str = field(default="127.0.0.1", metadata={"help": "Address to listen on."})
    port: int = _setting(8000, "Port to listen on; 0 takes a free one.", 0, MAX_PORT)
    workers: int = _setting(
        0, "Worker processes, which decode and classify; 0 is one per core.", 0, 1024
    )
    max_body: int = _setting(8_000_000, "Largest request body; a larger one gets status 413.", 1)
    max_pixels: int = _setting(
        16_000_000, "Largest picture, checked before decoding; more is a 413.", 784
    )
    max_request_pixels: int = _setting(
        64_000_000,
        "Pixels of the pictures of one request together; the pictures after that get an error.",
        784,
    )
    max_batch: int = _setting(64, "Most pictures in one request; more is a 413.", 1)
    max_at_once: int = _setting(
        128, "Open prediction requests, with their bodies in memory; more is a 503.", 1
    )
    max_per_client: int = _setting(
        64,
        "Open prediction requests of one client address; behind a proxy, as many as --max-at-once.",
        1,
    )
    head_seconds: float = _setting(
        10.0, "Time for a request's headers to arrive; later is a 408.", 0.01
    )
    body_seconds: float = _setting(10.0, "Time for a body to arrive; later is a 408.", 0.01)
    work_seconds: float = _setting(
        10.0, "Time to wait for the workers' results; later is a 503.", 0.01
    )
    picture_seconds: float = _setting(5.0, "CPU time to prepare one picture; more is a 422.", 0.01)
    stop_seconds: int = _setting(
        30, "Time for open requests to finish when the service is stopped.", 1
    )

    def __post_init__(self) -> None:
        """Check the ranges."""
        for setting in fields(self):
            value, metadata = getattr(self, setting.name), setting.metadata
            if "minimum" in metadata and not metadata["minimum"] <= value <= metadata["maximum"]:
                raise UsageError(_out_of_range(setting, value))

    @property
    def processes(self) -> int:
        """The number of workers."""
        return self.workers or _cores()


def option(name: str) -> str:
    """Return the command-line option of the setting ``name``."""
    return f"--{name.replace('_', '-')}"


def help_text(name: str) -> str:
    """Return the sentence that describes the setting ``name``."""
    return next(
        str(setting.metadata["help"]) for setting in fields(Settings) if setting.name == name
    )


def _out_of_range(setting: Field[Any], value: Any) -> str:
    minimum, maximum = setting.metadata["minimum"], setting.metadata["maximum"]
    allowed = f"at least {minimum:g}" if maximum == math.inf else f"{minimum:g} to {maximum:g}"
    return f"{option(setting.name)} is {value}; it must be {allowed}. {setting.metadata['help']}"


# The API key


def find_key(file: Path | None) -> str | None:
    """Return the API key from ``file``, or from the environment; None if neither has one."""
    from_environment = os.environ.get(KEY_VARIABLE)
    if file is None:
        return None if from_environment is None else _valid_key(from_environment, KEY_VARIABLE)
    if from_environment is not None:
        raise UsageError(f"There are two API keys: {KEY_VARIABLE} and --api-key-file. Give one.")
    try:
        return _valid_key(file.read_text(encoding="utf-8"), str(file))
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror}. Name a file with a key."
        ) from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not text. Name a file with a key.") from None


def accepts(key: str, authorization: str) -> bool:
    """Return whether an Authorization header (RFC 6750) has ``key``; in constant time."""
    import hmac

    scheme, _, token = authorization.partition(" ")
    same = hmac.compare_digest(token.strip().encode("latin-1", "replace"), key.encode("ascii"))
    return same and scheme.lower() == "bearer"


def _valid_key(text: str, source: str) -> str:
    key = text.strip()
    if len(key) < MIN_KEY_LENGTH or not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError(
            f"The API key in {source} must be one word of at least {MIN_KEY_LENGTH} ASCII "
            "characters. Make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
    return key
