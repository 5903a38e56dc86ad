"""The service's log: one JSON object a line on standard error, without anything of a picture."""

from __future__ import annotations

import json
import logging
import sys
import time
from contextlib import suppress
from typing import Any

LEVELS = {logging.WARNING: "warning", logging.ERROR: "error", logging.CRITICAL: "error"}


def log(event: str, *, level: str = "info", **facts: Any) -> None:
    """Write one line: the time (UTC), the level, the event and ``facts``."""
    now = time.time()
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
    line = {"time": moment, "level": level, "event": event, **facts}
    with suppress(OSError, ValueError):  # whoever read the log has left; the service goes on
        sys.stderr.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
        sys.stderr.flush()


class ToLog(logging.Handler):
    """Takes what Uvicorn and asyncio have to say into the log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, with the traceback if it has one."""
        facts: dict[str, Any] = {"logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            facts["traceback"] = logging.Formatter().formatException(record.exc_info)
        log("library", level=LEVELS.get(record.levelno, "info"), **facts)


def take_library_logs() -> None:
    """Send what libraries log into this log, from warnings up."""
    root = logging.getLogger()
    root.handlers = [ToLog()]
    root.setLevel(logging.WARNING)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of each bad form
