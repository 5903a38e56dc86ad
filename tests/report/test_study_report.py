"""A study's report: its pictures, and its page in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser
from test_report_browser import open_page

from kilonet.report.facts import Curve, StudyFacts
from kilonet.report.formatting import Column, Table
from kilonet.report.write import STUDY_CURVES as CURVES
from kilonet.report.write import write_study_report as write

CELLS = Table(
    [Column("cell", figures=False), Column("accuracy"), Column("parameters")],
    [["adam", "99.10", "9,000"], ["<b>sgd</b>", "98.20", "22,000"], ["muon", "–", "11,500"]],
    0,
)


def facts(curves: bool = True) -> StudyFacts:
    runs = [[0.5, 0.9, 0.95], [0.6, 0.92, 0.97]]
    return StudyFacts(
        title="optimizers",
        question="Recipe quick, 3 cells.",
        answers=["adam was better (95 % interval 1–2)."],
        tables=[("Cells", "Mean over seeds", CELLS)],
        curves=[Curve("adam", runs), Curve("$sgd", [runs[0]])] if curves else [],
        failures={"adam-s3": "<i>diverged</i>"},
        command="kilonet study quick --name '<x>'",
    )


def test_equal_facts_give_equal_bytes(tmp_path: Path) -> None:
    pages = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "report.html", facts())
        pages.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert pages[0] == pages[1]
    assert {*pages[0]} == {"report.html", CURVES}
    page = pages[0]["report.html"].decode()
    assert "&lt;b&gt;sgd&lt;/b&gt;" in page
    assert "adam-s3: &lt;i&gt;diverged&lt;/i&gt;" in page
    assert "95\u00a0%" in page
    assert "http" not in page.replace("http-equiv", "")


def test_without_validation_images_there_are_no_curves(tmp_path: Path) -> None:
    write(tmp_path / "report.html", facts(curves=False))
    assert {path.name for path in tmp_path.iterdir()} == {"report.html"}


@pytest.mark.browser
@pytest.mark.parametrize("width", [375, 1200])
def test_a_heading_sorts(browser: Browser, tmp_path: Path, width: int) -> None:
    write(tmp_path / "report.html", facts())
    page, requests, complaints = open_page(browser, tmp_path / "report.html", width)
    column = "[...document.querySelectorAll('tbody th')].map(cell => cell.textContent)"
    assert page.evaluate(column) == ["adam", "<b>sgd</b>", "muon"]
    page.get_by_role("button", name="parameters").click()
    assert page.evaluate(column) == ["adam", "muon", "<b>sgd</b>"]
    page.get_by_role("button", name="parameters").click()
    assert page.evaluate(column) == ["<b>sgd</b>", "muon", "adam"]
    page.get_by_role("button", name="cell").click()
    assert page.evaluate(column) == ["<b>sgd</b>", "adam", "muon"]
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(overflow) <= 0
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    page.close()
