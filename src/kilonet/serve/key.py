"""The optional API key: where it comes from, and whether a request has it."""

from __future__ import annotations

import hmac
import os
from pathlib import Path

from kilonet.errors import UsageError

VARIABLE = "KILONET_API_KEY"
SHORTEST = 16  # characters
SCHEME = "bearer"


def find_key(file: Path | None) -> str | None:
    """Return the key in ``file``, or in the environment; None where there is neither.

    Raises:
        UsageError: there are both, the file cannot be read, or the key is no key.
    """
    named = os.environ.get(VARIABLE)
    if file is None:
        return None if named is None else _checked(named, VARIABLE)
    if named is not None:
        raise UsageError(f"There are two API keys: {VARIABLE} and --api-key-file. Give one.")
    try:
        return _checked(file.read_text(encoding="utf-8"), str(file))
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror}. Name a file with a key."
        ) from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not text. Name a file with a key.") from None


def accepts(key: str, authorization: str) -> bool:
    """Say whether an Authorization header (RFC 6750) has ``key``, in constant time."""
    scheme, _, token = authorization.partition(" ")
    same = hmac.compare_digest(token.strip().encode("latin-1", "replace"), key.encode("ascii"))
    return same and scheme.lower() == SCHEME


def _checked(text: str, source: str) -> str:
    key = text.strip()
    if len(key) < SHORTEST or not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError(
            f"The API key in {source} must be one word of at least {SHORTEST} ASCII characters. "
            "Make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
    return key
