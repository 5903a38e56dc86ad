"""``kilonet serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kilonet.cli.common import output
from kilonet.extras import require
from kilonet.serve.settings import Settings, help_text, option


def _setting(name: str, metavar: str) -> Any:
    return typer.Option(option(name), metavar=metavar, help=help_text(name))


def serve(
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="A run or an ONNX file (default: kilonet-25k)."),
    ] = None,
    host: Annotated[str, _setting("host", "ADDRESS")] = Settings.host,
    port: Annotated[int, _setting("port", "N")] = Settings.port,
    workers: Annotated[int, _setting("workers", "N")] = Settings.workers,
    max_body: Annotated[int, _setting("max_body", "BYTES")] = Settings.max_body,
    max_pixels: Annotated[int, _setting("max_pixels", "N")] = Settings.max_pixels,
    max_request_pixels: Annotated[
        int, _setting("max_request_pixels", "N")
    ] = Settings.max_request_pixels,
    max_batch: Annotated[int, _setting("max_batch", "N")] = Settings.max_batch,
    max_at_once: Annotated[int, _setting("max_at_once", "N")] = Settings.max_at_once,
    max_per_client: Annotated[int, _setting("max_per_client", "N")] = Settings.max_per_client,
    head_seconds: Annotated[float, _setting("head_seconds", "S")] = Settings.head_seconds,
    body_seconds: Annotated[float, _setting("body_seconds", "S")] = Settings.body_seconds,
    work_seconds: Annotated[float, _setting("work_seconds", "S")] = Settings.work_seconds,
    picture_seconds: Annotated[float, _setting("picture_seconds", "S")] = Settings.picture_seconds,
    stop_seconds: Annotated[int, _setting("stop_seconds", "S")] = Settings.stop_seconds,
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            "--api-key-file",
            metavar="FILE",
            help="File with the key that requests must send (or set KILONET_API_KEY).",
        ),
    ] = None,
) -> None:
    """Classify pictures over HTTP: POST /predict, and a page to try it at /."""
    settings = Settings(
        host, port, workers, max_body, max_pixels, max_request_pixels, max_batch, max_at_once,
        max_per_client, head_seconds, body_seconds, work_seconds, picture_seconds, stop_seconds,
    )  # fmt: skip
    require("serve")
    from kilonet.inference.model import find_model
    from kilonet.serve.server import serve as run
    from kilonet.serve.settings import find_key

    run(find_model(model), settings, find_key(api_key_file), _announce)


def _announce(address: str) -> None:
    text = f"Serving at {address} (web page there, API documentation at {address}/docs)."
    output(progress=True).print(f"{text} Ctrl-C stops.", soft_wrap=True)
