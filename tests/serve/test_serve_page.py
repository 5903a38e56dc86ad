"""The page at /, as text and in a real browser."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from kilonet.exports.graph.lower import lower
from kilonet.exports.graph.operators import UnsupportedOperatorError
from kilonet.exports.html import emit
from kilonet.serve.page import page, policy
from service import Live, live

KEY = "correct-horse-battery"


def test_it_names_the_model() -> None:
    assert b"<b>gap-1</b>" in page(Path("runs/gap-1/model.onnx"), public=False)
    assert b"<b>&lt;b&gt;.onnx</b>" in page(Path("<b>.onnx"), public=False)


def test_it_is_the_exported_page(model: Path) -> None:
    assert page(model).decode() == emit.page(lower(model), model.name)


def test_a_form_where_that_cannot_be_made(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*_: object) -> str:
        raise UnsupportedOperatorError("The page lacks it.")

    monkeypatch.setattr(emit, "page", lacking)
    assert page(model) == page(model, public=False)


def test_the_policy_allows_its_own_scripts_and_styles_alone() -> None:
    digest = base64.b64encode(hashlib.sha256(b"go()").digest()).decode()
    found = policy(b"<STYLE>x</STYLE><script type='a'>go()</script><script>\n</script>")
    assert f"script-src 'sha256-{digest}' 'sha256-" in found
    assert "style-src 'sha256-" in found
    assert "script-src" not in policy(b"<p>none</p>")


def opened(browser: Browser, service: Live) -> tuple[Page, list[str]]:
    tab = browser.new_page(viewport={"width": 375, "height": 700})
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto(service.address)
    return tab, complaints


def read(tab: Page, name: str, content: bytes) -> str:
    tab.set_input_files("#picture", {"name": name, "mimeType": "image/png", "buffer": content})
    tab.click("button")
    tab.wait_for_selector("output p")  # the page's policy lets no function be waited for
    return tab.inner_text("output")


@pytest.mark.browser
def test_in_a_browser(browser: Browser, service: Live, zero: bytes) -> None:
    tab, complaints = opened(browser, service)
    tab.set_input_files(
        "input[type=file]", {"name": "0.png", "mimeType": "image/png", "buffer": zero}
    )
    tab.wait_for_selector("text=, then 1,")
    width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert tab.evaluate(width) <= 0
    assert complaints == []
    tab.goto(f"{service.address}/docs")
    assert "POST /predict" in tab.inner_text("body")
    assert complaints == []
    tab.close()


@pytest.mark.browser
def test_a_key_is_asked_for(browser: Browser, model: Path, zero: bytes) -> None:
    with live(model, KILONET_API_KEY=KEY) as service:
        tab, complaints = opened(browser, service)
        assert "needs its API key" in read(tab, "zero.png", zero)
        tab.fill("#key", KEY)
        tab.click("button")
        tab.wait_for_selector("text=Confidence")
        assert tab.inner_text(".digit") == "0"
        assert [text for text in complaints if "401" not in text] == []
        tab.close()
