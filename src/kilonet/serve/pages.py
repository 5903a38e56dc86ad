"""The HTML pages: ``/``, on which one tries the model, and ``/docs``, the API reference."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

from kilonet.errors import KilonetError

FORM = Path(__file__).with_name("form.html")
_INLINE = re.compile(rb"<(script|style)\b[^>]*>(.*?)</\1>", re.DOTALL | re.IGNORECASE)


def front_page(model: Path, *, public: bool = True) -> bytes:
    """Return a self-contained HTML page that tries ``model``, an ONNX file.

    It is the page of ``kilonet export --to html``, which contains the network. If the model is not
    ``public``, because the service has a key, or that page cannot be made, it is a form that sends
    pictures to ``/predict``.
    """
    name = model.parent.name if model.name == "model.onnx" else model.name
    exported = _exported_page(model, name) if public else None
    if exported is not None:
        return exported.encode("utf-8")
    text = FORM.read_text(encoding="utf-8")
    return Template(text).substitute(model=html.escape(name)).encode("utf-8")


def _exported_page(model: Path, name: str) -> str | None:
    try:
        from kilonet.exports.graph.lower import lower
        from kilonet.exports.html import document

        return document.page(lower(model), name)
    except (ImportError, KilonetError):  # onnx is not installed, or an operator is not supported
        return None


def content_security_policy(page: bytes) -> str:
    """Return the Content-Security-Policy that allows the scripts and styles in ``page`` alone.

    They are listed by their SHA-256, so no other script runs, whatever is inserted into the page.
    """
    hashes: dict[str, list[str]] = {"script": [], "style": []}
    for kind, text in _INLINE.findall(page):
        digest = base64.b64encode(hashlib.sha256(text).digest()).decode("ascii")
        hashes[kind.decode("ascii").lower()].append(f"'sha256-{digest}'")
    inline = [f"{kind}-src {' '.join(found)}" for kind, found in hashes.items() if found]
    sources = ["img-src 'self' data: blob:", "connect-src 'self'", "form-action 'self'"]
    frames = ["base-uri 'none'", "frame-ancestors 'none'"]
    return "; ".join(["default-src 'none'", *inline, *sources, *frames])


# The API reference. FastAPI's own page loads scripts from another site, which the policy forbids
# and which fails offline; this one has no script.

STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font: 0.9rem/1.4 ui-monospace, monospace; }
pre { overflow: auto; padding: 0.75rem; border: 1px solid #8888; }
section { border-top: 1px solid #8888; }
"""


def reference_page(openapi: dict[str, Any]) -> bytes:
    """Return an OpenAPI description as plain HTML."""
    info = openapi["info"]
    parts = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<link rel="icon" href="data:,">',
        f"<title>{html.escape(info['title'])}</title><style>{STYLE}</style></head><body><main>",
        f"<h1>{html.escape(info['title'])}</h1><p>{html.escape(info['description'])}</p>",
        '<p>For programs: <a href="openapi.json">openapi.json</a>.</p>',
        *_operations(openapi["paths"]),
        "</main></body></html>",
    ]
    return "\n".join(parts).encode("utf-8")


def _operations(paths: dict[str, Any]) -> Iterator[str]:
    for path, methods in paths.items():
        for method, operation in methods.items():
            description = operation.get("description", operation.get("summary", ""))
            yield f"<section><h2><code>{method.upper()} {html.escape(path)}</code></h2>"
            yield f"<p>{html.escape(description)}</p>"
            yield from _parameters(operation.get("parameters", []))
            yield from _bodies("Takes", operation.get("requestBody", {}).get("content", {}))
            for status, response in operation["responses"].items():
                heading = f"{status} {response['description']}"
                yield from _bodies(heading, response.get("content", {}))
            yield "</section>"


def _parameters(parameters: list[dict[str, Any]]) -> Iterator[str]:
    for one in parameters:
        description = html.escape(one.get("description", ""))
        yield f"<p><code>{html.escape(one['name'])}</code>: {description}</p>"


def _bodies(heading: str, content: dict[str, Any]) -> Iterator[str]:
    """Show each schema once, with all media types that have it."""
    types_of: dict[str, list[str]] = {}
    for media_type, entry in content.items():
        schema = json.dumps(entry.get("schema", {}), indent=1, ensure_ascii=False)
        types_of.setdefault(schema, []).append(media_type)
    if not types_of:
        yield f"<p>{html.escape(heading)}</p>"
    for schema, media_types in types_of.items():
        names = ", ".join(f"<code>{html.escape(name)}</code>" for name in media_types)
        yield f"<details><summary>{html.escape(heading)}: {names}</summary>"
        yield f"<pre>{html.escape(schema)}</pre></details>"
