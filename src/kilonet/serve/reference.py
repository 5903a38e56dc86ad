"""The page at ``/docs``: the OpenAPI description as plain HTML, without a script.

FastAPI's own page loads its scripts from another site, which this service's policy forbids and
which does not work offline.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from typing import Any

STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font: 0.9rem/1.4 ui-monospace, monospace; }
pre { overflow: auto; padding: 0.75rem; border: 1px solid #8888; }
section { border-top: 1px solid #8888; }
"""


def reference(description: dict[str, Any]) -> bytes:
    """Return the page for an OpenAPI ``description``."""
    info = description["info"]
    parts = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<link rel="icon" href="data:,">',
        f"<title>{_text(info['title'])}</title><style>{STYLE}</style></head><body><main>",
        f"<h1>{_text(info['title'])}</h1><p>{_text(info['description'])}</p>",
        '<p>For programs: <a href="openapi.json">openapi.json</a>.</p>',
        *_operations(description["paths"]),
        "</main></body></html>",
    ]
    return "\n".join(parts).encode("utf-8")


def _operations(paths: dict[str, Any]) -> Iterator[str]:
    for path, methods in paths.items():
        for method, operation in methods.items():
            yield f"<section><h2><code>{method.upper()} {_text(path)}</code></h2>"
            yield f"<p>{_text(operation.get('description', operation.get('summary', '')))}</p>"
            yield from _parameters(operation.get("parameters", []))
            yield from _bodies("Takes", operation.get("requestBody", {}).get("content", {}))
            for status, response in operation["responses"].items():
                heading = f"{status} {response['description']}"
                yield from _bodies(heading, response.get("content", {}))
            yield "</section>"


def _parameters(parameters: list[dict[str, Any]]) -> Iterator[str]:
    for one in parameters:
        yield f"<p><code>{_text(one['name'])}</code>: {_text(one.get('description', ''))}</p>"


def _bodies(heading: str, content: dict[str, Any]) -> Iterator[str]:
    """Show each schema once, with all the media types that have it."""
    shared: dict[str, list[str]] = {}
    for kind, entry in content.items():
        schema = json.dumps(entry.get("schema", {}), indent=1, ensure_ascii=False)
        shared.setdefault(schema, []).append(kind)
    if not shared:
        yield f"<p>{_text(heading)}</p>"
    for schema, kinds in shared.items():
        names = ", ".join(f"<code>{_text(kind)}</code>" for kind in kinds)
        yield f"<details><summary>{_text(heading)}: {names}</summary>"
        yield f"<pre>{_text(schema)}</pre></details>"


def _text(value: str) -> str:
    return html.escape(value)
