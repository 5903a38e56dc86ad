"""The page at /, as text and in a real browser."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page

from kilonet.exports.graph.lower import lower
from kilonet.exports.graph.operators import UnsupportedOperatorError
from kilonet.exports.html import document
from kilonet.serve.pages import content_security_policy, front_page, reference_page
from service import Live, live

KEY = "correct-horse-battery"


def test_the_form_names_the_model() -> None:
    assert b"<b>gap-1</b>" in front_page(Path("runs/gap-1/model.onnx"), public=False)
    assert b"<b>&lt;b&gt;.onnx</b>" in front_page(Path("<b>.onnx"), public=False)


def test_the_front_page_is_the_exported_page(model: Path) -> None:
    assert front_page(model).decode() == document.page(lower(model), model.name)


def test_a_form_if_the_page_cannot_be_exported(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> str:
        raise UnsupportedOperatorError("Not supported.")

    monkeypatch.setattr(document, "page", unsupported)
    assert front_page(model) == front_page(model, public=False)


def test_the_policy_allows_only_the_pages_own_scripts_and_styles() -> None:
    digest = base64.b64encode(hashlib.sha256(b"go()").digest()).decode()
    found = content_security_policy(
        b"<STYLE>x</STYLE><script type='a'>go()</script><script>\n</script>"
    )
    assert f"script-src 'sha256-{digest}' 'sha256-" in found
    assert "style-src 'sha256-" in found
    assert "script-src" not in content_security_policy(b"<p>none</p>")


def opened(browser: Browser, service: Live) -> tuple[Page, list[str]]:
    tab = browser.new_page(viewport={"width": 375, "height": 700})
    messages: list[str] = []
    tab.on("console", lambda message: messages.append(message.text))
    tab.on("pageerror", lambda error: messages.append(str(error)))
    tab.goto(service.address)
    return tab, messages


def read(tab: Page, name: str, content: bytes) -> str:
    tab.set_input_files("#picture", {"name": name, "mimeType": "image/png", "buffer": content})
    tab.click("button")
    tab.wait_for_selector("output p")  # the page's policy lets no function be waited for
    return tab.inner_text("output")


@pytest.mark.browser
def test_in_a_browser(browser: Browser, service: Live, zero: bytes) -> None:
    tab, messages = opened(browser, service)
    tab.set_input_files(
        "input[type=file]", {"name": "0.png", "mimeType": "image/png", "buffer": zero}
    )
    tab.wait_for_selector("text=, then 1,")
    width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert tab.evaluate(width) <= 0
    assert messages == []
    tab.goto(f"{service.address}/docs")
    assert "POST /predict" in tab.inner_text("body")
    assert messages == []
    tab.close()


@pytest.mark.browser
def test_the_form_asks_for_the_key(browser: Browser, model: Path, zero: bytes) -> None:
    with live(model, KILONET_API_KEY=KEY) as service:
        tab, messages = opened(browser, service)
        assert "needs its API key" in read(tab, "zero.png", zero)
        tab.fill("#key", KEY)
        tab.click("button")
        tab.wait_for_selector("text=Confidence")
        assert tab.inner_text(".digit") == "0"
        assert [text for text in messages if "401" not in text] == []
        tab.close()


def test_the_reference_lists_the_routes_without_a_script(client: httpx.Client) -> None:
    text = client.get("/docs").text
    for route in ("POST /predict", "GET /healthz", "GET /readyz", "GET /metrics"):
        assert f"<code>{route}</code>" in text
    assert "min_confidence" in text
    assert "<script" not in text
    assert "http" not in text.replace("https://", "http").split("<main>")[0]


def test_the_reference_escapes_descriptions() -> None:
    operation = {"description": "<script>", "responses": {"200": {"description": "a < b"}}}
    info = {"title": "T", "description": "D"}
    text = reference_page({"info": info, "paths": {"/x": {"get": operation}}}).decode()
    assert "&lt;script&gt;" in text
    assert "200 a &lt; b" in text
