"""The page at /docs."""

from __future__ import annotations

import httpx

from kilonet.serve.reference import reference


def test_it_lists_what_there_is_without_a_script(client: httpx.Client) -> None:
    text = client.get("/docs").text
    for route in ("POST /predict", "GET /healthz", "GET /readyz", "GET /metrics"):
        assert f"<code>{route}</code>" in text
    assert "min_confidence" in text
    assert "<script" not in text
    assert "http" not in text.replace("https://", "http").split("<main>")[0]


def test_what_is_described_is_text() -> None:
    operation = {"description": "<script>", "responses": {"200": {"description": "a < b"}}}
    info = {"title": "T", "description": "D"}
    text = reference({"info": info, "paths": {"/x": {"get": operation}}}).decode()
    assert "&lt;script&gt;" in text
    assert "200 a &lt; b" in text
