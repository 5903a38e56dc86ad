"""The page at ``/``: the exported one, on which one draws, or a form that asks the service."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from pathlib import Path
from string import Template

from kilonet.errors import KilonetError

FORM = Path(__file__).with_name("form.html")
_INLINE = re.compile(rb"<(script|style)\b[^>]*>(.*?)</\1>", re.DOTALL | re.IGNORECASE)


def page(model: Path, *, public: bool = True) -> bytes:
    """Return a self-contained HTML page with which a person can try ``model``, an ONNX file.

    It is what ``kilonet export --to html`` writes, network included. Where that is not to be given
    away, as the service has a key, or cannot be made, it is a form that sends pictures to
    ``/predict``.
    """
    name = model.parent.name if model.name == "model.onnx" else model.name
    drawing = _drawing(model, name) if public else None
    if drawing is not None:
        return drawing.encode("utf-8")
    text = FORM.read_text(encoding="utf-8")
    return Template(text).substitute(model=html.escape(name)).encode("utf-8")


def _drawing(model: Path, name: str) -> str | None:
    try:
        from kilonet.exports.graph.lower import lower
        from kilonet.exports.html import emit

        return emit.page(lower(model), name)
    except (ImportError, KilonetError):  # no onnx, or an operator that the page lacks
        return None


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
