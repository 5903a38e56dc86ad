"""A folder served over HTTP on loopback, as a mirror would."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class Mirror:
    """A folder served over HTTP on loopback, and the requests for it."""

    url: str
    requests: list[str] = field(default_factory=list)


@contextlib.contextmanager
def serve(folder: Path, cut_after: int | None = None) -> Iterator[Mirror]:
    """Serve ``folder``; with ``cut_after`` every answer breaks off after as many bytes."""
    mirror = Mirror("")

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *arguments: Any) -> None:
            pass

        def do_GET(self) -> None:
            mirror.requests.append(self.path)
            super().do_GET()

        def copyfile(self, source: Any, outputfile: Any) -> None:
            outputfile.write(source.read() if cut_after is None else source.read(cut_after))

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        mirror.url = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield mirror
        finally:
            server.shutdown()
            thread.join()
