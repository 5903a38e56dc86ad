"""Reading a request's body: no more of it, and for no longer, than is allowed."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

from kilonet.serve.problems import Problem
from kilonet.serve.settings import Settings, option


async def read_body(request: Request, settings: Settings) -> bytes:
    """Return the whole body.

    Raises:
        Problem: it is too large (413), which is said before any of it is read if its length is
            known, too slow (408), encoded (415), or its sender has left (400).
    """
    _check_head(request, settings)
    try:
        async with asyncio.timeout(settings.body_seconds):
            return await _limited(request, settings)
    except TimeoutError:
        raise Problem(
            408,
            f"The body did not arrive within {settings.body_seconds:g} seconds. Send it faster, "
            f"or start the service with a larger {option('body_seconds')}.",
        ) from None
    except ClientDisconnect:
        raise Problem(400, "The body ended early.") from None


def _check_head(request: Request, settings: Settings) -> None:
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise Problem(
            415,
            "Encoded bodies are not read. Send it without Content-Encoding.",
            headers={"accept-encoding": "identity"},
        )
    length = request.headers.get("content-length", "0")
    if int(length) > settings.max_body:  # the server has checked that it is a number
        raise _too_large(settings)


async def _limited(request: Request, settings: Settings) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > settings.max_body:
            raise _too_large(settings)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(settings: Settings) -> Problem:
    return Problem(
        413,
        f"The body is larger than {settings.max_body:,} bytes. Send smaller pictures or fewer, or "
        f"start the service with a larger {option('max_body')}.",
    )
