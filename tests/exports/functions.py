"""The archive of a Lambda function, made once and unpacked, and events as callers send them."""

from __future__ import annotations

import base64
import io
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import onnx
from networks import example

from kilonet.exports.aws.archive import Platform, function_files

LAMBDA = Platform("Linux", "x86_64", (3, 12))


@cache
def files() -> dict[str, bytes]:
    """Return the files of simple-8k's function."""
    return function_files(onnx.load(example("simple-8k").path), "net-1", LAMBDA)


def archive() -> zipfile.ZipFile:
    """Return the archive, opened."""
    return zipfile.ZipFile(io.BytesIO(files()["net-1-lambda.zip"]))


@cache
def unpacked() -> Path:
    """Return the folder in which the archive lies unpacked, beside the test networks."""
    folder = example("simple-8k").path.parent / "function"
    archive().extractall(folder)
    return folder


def gateway_2(body: bytes | str | None, kind: str | None = "image/png") -> dict[str, Any]:
    """Return an event of payload format 2.0, which function URLs send too."""
    event: dict[str, Any] = {
        "version": "2.0",
        "rawPath": "/",
        "headers": {"content-type": kind} if kind else {},
        "requestContext": {"http": {"method": "POST", "path": "/"}},
    }
    return event | _body(body)


def gateway_1(body: bytes | str | None, kind: str | None = "image/png") -> dict[str, Any]:
    """Return an event of payload format 1.0: names in other cases, headers that may be null."""
    event: dict[str, Any] = {
        "httpMethod": "POST",
        "path": "/",
        "headers": {"Content-Type": kind} if kind else None,
        "requestContext": {"httpMethod": "POST"},
    }
    return event | _body(body)


def _body(body: bytes | str | None) -> dict[str, Any]:
    if isinstance(body, bytes):
        return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    return {"body": body, "isBase64Encoded": False}
