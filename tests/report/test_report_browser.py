"""The HTML report as a real browser shows it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from test_write import evaluated

from kilonet.report.write import write_report


@pytest.fixture
def report(tmp_path: Path) -> Path:
    write_report(tmp_path, evaluated())
    return tmp_path / "report.html"


def open_page(browser: Browser, report: Path, width: int) -> tuple[Page, list[str], list[str]]:
    """Open the report and return the page, what it asked for, and what it complained about."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(report.as_uri())
    return page, requests, complaints


@pytest.mark.browser
@pytest.mark.parametrize("width", [375, 1200])
def test_report_in_a_browser(browser: Browser, report: Path, width: int) -> None:
    page, requests, complaints = open_page(browser, report, width)
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    loaded = "[...document.images].map(image => image.complete && image.naturalWidth > 0)"
    assert page.evaluate(loaded) == [True, True, True]
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(overflow) <= 0
    heading = page.locator("h1").bounding_box()
    assert heading is not None
    assert heading["width"] <= width
    page.close()
