"""The page at ``/``. Whatever page a model is shown with, it comes from ``page`` alone."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from pathlib import Path
from string import Template

FORM = Path(__file__).with_name("form.html")
_INLINE = re.compile(rb"<(script|style)\b[^>]*>(.*?)</\1>", re.DOTALL | re.IGNORECASE)


def page(model: Path) -> bytes:
    """Return a self-contained HTML page with which a person can try ``model``, an ONNX file."""
    name = html.escape(model.parent.name if model.name == "model.onnx" else model.name)
    return Template(FORM.read_text(encoding="utf-8")).substitute(model=name).encode("utf-8")


def policy(content: bytes) -> str:
    """Return the Content-Security-Policy under which ``content`` runs its own scripts and styles.

    They are allowed by their SHA-256, so that nothing else runs, whatever gets into the page.
    """
    allowed: dict[str, list[str]] = {"script": [], "style": []}
    for kind, text in _INLINE.findall(content):
        digest = base64.b64encode(hashlib.sha256(text).digest()).decode("ascii")
        allowed[kind.decode("ascii").lower()].append(f"'sha256-{digest}'")
    lists = [f"{kind}-src {' '.join(found)}" for kind, found in allowed.items() if found]
    rest = ["img-src 'self' data: blob:", "connect-src 'self'", "form-action 'self'"]
    end = ["base-uri 'none'", "frame-ancestors 'none'"]
    return "; ".join(["default-src 'none'", *lists, *rest, *end])
