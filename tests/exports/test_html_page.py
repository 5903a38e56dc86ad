"""The page as people use it: drawing, opening pictures, undo, by mouse, finger and keys."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from networks import example
from pages import SEVEN, announcement, draw, drawn_pixels, opened
from PIL import Image
from playwright.sync_api import Browser, Page

from kilonet.exports.graph.interpret import interpret
from kilonet.exports.graph.operators import Graph
from kilonet.preprocessing import prepare

pytestmark = pytest.mark.browser
GRAPH = example("simple-8k").graph
DROP = """async ([name, bytes]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([Uint8Array.from(bytes)], name));
    const target = document.getElementById("pad");
    target.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
}"""
PASTE = """([name, bytes]) => {
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File([Uint8Array.from(bytes)], name));
    document.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
}"""


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    page = opened(browser, GRAPH, tmp_path)
    yield page
    page.context.close()


def seven() -> bytes:
    """Return a PNG file of a pencilled 7."""
    grey = np.full((90, 70), 230, np.uint8)
    grey[15:22, 15:55] = 40
    for i in range(55):
        grey[20 + i, 50 - i // 2 : 56 - i // 2] = 40
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG")
    return file.getvalue()


def expected(pixels: object) -> str:
    """Return Python's prediction for a picture, as the page announces it."""
    image = prepare(pixels)[None, None]  # type: ignore[arg-type]
    (row,) = interpret(GRAPH, image)["probabilities"]
    first, second = np.argsort(-row, kind="stable")[:2]
    return f"{first}, {100 * row[first]:.1f} %; then {second}, {100 * row[second]:.1f} %."


def test_a_drawing_is_read_as_python_reads_it(page: Page) -> None:
    assert page.locator("#summary").text_content() == "Waiting for a drawing."
    draw(page, SEVEN)
    found = drawn_pixels(page)
    assert found[:, :, 3].max() == 255
    assert announcement(page) == expected(found)
    assert page.locator("#digit").text_content() == announcement(page)[0]
    shares = [
        float(text.split()[0]) for text in page.locator("#bars td:last-child").all_inner_texts()
    ]
    assert sum(shares) == pytest.approx(100, abs=0.6)
    assert page.locator("#bars .best th").inner_text() == announcement(page)[0]


def test_the_result_is_live_but_announced_at_the_end(page: Page) -> None:
    box = page.locator("#pad").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 100, box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + 110, box["y"] + 300, steps=6)
    page.wait_for_timeout(100)
    assert page.locator("#digit").text_content() != ""
    assert announcement(page) == ""
    page.mouse.up()
    assert announcement(page) != ""


def test_strokes_are_smooth_and_join_the_points(page: Page) -> None:
    draw(page, [(0.1, 0.5), (0.5, 0.5), (0.9, 0.5)])
    alpha = drawn_pixels(page)[:, :, 3]
    rows = np.flatnonzero(alpha[:, 140])
    assert 16 <= len(rows) <= 22, "the pen's width"
    assert abs(rows.mean() - 140) < 2
    assert (alpha[140, 35:245] == 255).all()


def test_undo_and_clear(page: Page) -> None:
    draw(page, SEVEN)
    first = announcement(page)
    draw(page, [(0.3, 0.5), (0.65, 0.55)])
    page.get_by_role("button", name="Undo").click()
    assert announcement(page) == first
    page.get_by_role("button", name="Clear").click()
    assert announcement(page) == "Waiting for a drawing."
    assert not drawn_pixels(page).any()
    page.keyboard.press("Control+z")
    assert announcement(page) == first
    page.keyboard.press("Escape")
    assert announcement(page) == "Waiting for a drawing."


def test_no_digit_is_made_of_nothing(page: Page) -> None:
    draw(page, [(0.5, 0.5), (0.5, 0.501)])
    page.evaluate(DROP, ["grey.png", list(_png(np.full((50, 50), 128, np.uint8)))])
    page.locator("#summary", has_text="Nothing here stands out").wait_for()
    assert page.locator("#digit").text_content() == ""
    assert page.locator("#bars td:last-child").all_inner_texts() == [""] * 10
    assert announcement(page).startswith("Nothing here")


def test_two_digits_are_one_too_many(page: Page) -> None:
    for left in (0.2, 0.7):
        draw(page, [(left, 0.25), (left + 0.02, 0.75)])
    assert announcement(page) == "There are 2 digits here, and one was expected. Draw one alone."


def test_pictures_come_in_three_ways(page: Page) -> None:
    says = expected(seven())
    page.locator("#file").set_input_files(
        {"name": "7.png", "mimeType": "image/png", "buffer": seven()}
    )
    page.locator("#announcement", has_text=says).wait_for(state="attached")
    for way in (DROP, PASTE):
        page.keyboard.press("Escape")
        assert announcement(page) == "Waiting for a drawing."
        page.evaluate(way, ["7.png", list(seven())])
        page.locator("#announcement", has_text=says).wait_for(state="attached")
    draw(page, SEVEN)
    assert announcement(page) == expected(drawn_pixels(page)), "a stroke begins anew"
    page.keyboard.press("Control+z")
    assert announcement(page) == says


def test_a_file_that_is_no_picture(page: Page) -> None:
    page.evaluate(DROP, ["7.txt", [1, 2, 3]])
    page.locator("#summary", has_text="cannot be read as a picture").wait_for()
    assert page.locator("#digit").text_content() == ""


def test_drawn_with_keys_alone(page: Page) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.id") == "pad"
    for key in ["ArrowUp"] * 6 + [" "] + ["ArrowDown"] * 12 + [" "]:
        page.keyboard.press(key)
    assert announcement(page) == expected(drawn_pixels(page))
    rows = np.flatnonzero(drawn_pixels(page)[:, 140, 3])
    assert (rows[0], rows[-1]) == pytest.approx(
        (140 - 0.24 * 280 - 10, 140 + 0.24 * 280 + 10), abs=3
    )


def test_a_finger_draws_and_does_not_scroll(browser: Browser, tmp_path: Path) -> None:
    size = {"width": 390, "height": 844}
    page = opened(browser, GRAPH, tmp_path, viewport=size, has_touch=True, is_mobile=True)
    assert page.evaluate("() => document.documentElement.scrollWidth") == 390
    box = page.locator("#pad").bounding_box()
    assert box is not None
    client = page.context.new_cdp_session(page)
    places = [(0.3, 0.25), (0.7, 0.25), (0.5, 0.5), (0.4, 0.8)]
    kinds = ["touchStart", "touchMove", "touchMove", "touchMove"]
    for kind, (x, y) in zip(kinds, places, strict=True):
        point = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert page.evaluate("() => scrollY") == 0
    assert announcement(page) == expected(drawn_pixels(page))
    page.context.close()


def test_dark_mode_draws_light_ink_and_reads_the_same(browser: Browser, tmp_path: Path) -> None:
    said = []
    for scheme in ("light", "dark"):
        page = opened(browser, GRAPH, tmp_path, color_scheme=scheme)
        draw(page, SEVEN)
        said.append((announcement(page), drawn_pixels(page)[:, :, 0].max() > 128))
        page.context.close()
    assert [light for _, light in said] == [False, True]
    assert said[0][0].split(",")[0] == said[1][0].split(",")[0]


def test_layers_are_shown_with_names_and_shapes(page: Page) -> None:
    draw(page, SEVEN)
    page.get_by_text("Inside the network").click()
    captions = page.locator("#maps figcaption").all_inner_texts()
    assert "conv1 Conv2d 3×3, then ReLU: 28×28, 8 channels" in captions
    assert captions[-1] == "probabilities Softmax: 10 values"
    inked = page.evaluate(
        """() => [...document.querySelectorAll("#maps figure")].map((figure) =>
            [...figure.querySelectorAll("canvas")].some((canvas) => canvas.getContext("2d")
                .getImageData(0, 0, canvas.width, canvas.height).data.some((byte) => byte)))"""
    )
    assert all(inked)
    labels = [label.get_attribute("aria-label") for label in page.locator("#maps [role=img]").all()]
    assert all("values from" in str(label) for label in labels)
    page.keyboard.press("Escape")
    assert "no values yet" in str(
        page.locator("#maps [role=img]").first.get_attribute("aria-label")
    )


def test_everything_can_be_reached_and_has_a_name(page: Page) -> None:
    found = []
    for _ in range(6):
        page.keyboard.press("Tab")
        found.append(
            page.evaluate("() => document.activeElement.id || document.activeElement.tagName")
        )
    assert found == ["pad", "undo", "clear", "file", "SUMMARY", "SUMMARY"]
    tree = page.locator("body").aria_snapshot()
    for part in [
        "application", "Drawing area", 'button "Undo"', 'button "Clear"', 'button "Open a picture"',
        "status", 'img "The 28×28 pixels that the network gets"', "table", 'heading "Draw a digit"',
    ]:  # fmt: skip
        assert part in tree, tree


def test_other_sizes_and_colours_are_only_scaled(browser: Browser, tmp_path: Path) -> None:
    shape = (3, 8, 6)
    graph = Graph(shape, _means(shape), {"classes": "red,green,blue"})
    page = opened(browser, graph, tmp_path)
    colours = np.zeros((80, 60, 3), np.uint8)
    colours[..., 1], colours[..., 2] = 200, 100
    page.evaluate(DROP, ["green.png", list(_png(colours))])
    page.locator("#digit", has_text="green").wait_for()
    assert (
        page.evaluate("() => [...kilonet.predict(new Uint8Array(144).fill(255)).logits]") == [1] * 3
    )
    page.context.close()


def test_what_no_picture_has_is_left_to_programs(browser: Browser, tmp_path: Path) -> None:
    graph = Graph((2, 3, 3), _means((2, 3, 3)), {"classes": "a,b"})
    page = opened(browser, graph, tmp_path)
    assert not page.locator("#pad").is_visible()
    found = page.evaluate("() => kilonet.read(document.getElementById('pad'))")
    assert found["error"] == "channels"
    pixels = [255, 0] * 9
    assert page.evaluate("(p) => kilonet.predict(p).name", pixels) == "a"
    page.context.close()


def _png(pixels: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")  # type: ignore[arg-type]
    return file.getvalue()


def _means(shape: tuple[int, int, int]) -> tuple[object, ...]:
    """Return a network whose logits are the means of the channels, 0 to 1."""
    from kilonet.exports.graph import operators as ops

    channels = shape[0]
    scale, offset = np.full(channels, 1 / 255, np.float32), np.zeros(channels, np.float32)
    scaled = {"output": "scaled1", "sources": ("image",), "shape": shape}
    return (
        ops.InputScaling(**scaled, scale=scale, offset=offset),  # type: ignore[arg-type]
        ops.GlobalAvgPool(output="mean1", sources=("scaled1",), shape=(channels, 1, 1)),
        ops.Flatten(output="logits", sources=("mean1",), shape=(channels,)),
        ops.Softmax(output="probabilities", sources=("logits",), shape=(channels,)),
    )
