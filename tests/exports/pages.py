"""Exported pages in a browser: opened from a file, drawn on through pointer events."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from playwright.sync_api import Browser, Page

from kilonet.exports.graph.operators import Graph
from kilonet.exports.html.document import page as page_text

Point = tuple[float, float]
SEVEN: Sequence[Point] = [(0.25, 0.2), (0.75, 0.2), (0.45, 0.85)]


def opened(browser: Browser, graph: Graph, folder: Path, **context: Any) -> Page:
    """Open the page of a network; whatever it complains of fails the test that looks."""
    path = folder / "page.html"
    path.write_text(page_text(graph, "net-1"), encoding="utf-8")
    page = browser.new_context(**context).new_page()
    page.set_default_timeout(120_000)  # milliseconds: machines that test are busy
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("request", lambda request: complaints.append(request.url))
    page.goto(path.as_uri())
    assert complaints == [path.as_uri()], "nothing is loaded but the file, and nothing goes wrong"
    return page


def draw(page: Page, points: Sequence[Point]) -> None:
    """Draw one stroke with the mouse; points are shares of the drawing area."""
    box = page.locator("#pad").bounding_box()
    assert box is not None
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=4)
    page.mouse.up()


def announcement(page: Page) -> str:
    """Return the last text for screen readers."""
    return page.locator("#announcement").text_content() or ""


def drawn_pixels(page: Page) -> npt.NDArray[np.uint8]:
    """Return the drawing, RGBA (H, W, 4), at the size at which it is read."""
    encode = page.evaluate(
        """() => {
            const small = document.createElement("canvas");
            small.width = small.height = 280;
            const context = small.getContext("2d", { willReadFrequently: true });
            context.imageSmoothingQuality = "high";
            context.drawImage(document.getElementById("pad"), 0, 0, 280, 280);
            const { data } = context.getImageData(0, 0, 280, 280);
            return btoa(Array.from(data, (byte) => String.fromCharCode(byte)).join(""));
        }"""
    )
    return np.frombuffer(base64.b64decode(encode), np.uint8).reshape(280, 280, 4)
