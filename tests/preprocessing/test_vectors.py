"""Python and JavaScript on the shared vectors: the same error, or pixels within one level."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page
from vectors import VECTORS, Vector

import kilonet.preprocessing
from kilonet.preprocessing import PictureError, prepare, split

SCRIPT = Path(kilonet.preprocessing.__file__).with_name("prepare.js")
EACH = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)


def check(vector: Vector, digits: list[Any]) -> None:
    assert vector.error is None
    assert len(digits) == len(vector.digits)
    for found, expected in zip(digits, vector.digits, strict=True):
        pixels = np.asarray(found, dtype=int).reshape(28, 28)
        assert np.abs(pixels - expected).max() <= 1


@EACH
def test_python(vector: Vector) -> None:
    if vector.error is not None:
        with pytest.raises(PictureError) as caught:
            split(vector.pixels)
        assert caught.value.kind == vector.error
    else:
        check(vector, split(vector.pixels))


@EACH
def test_python_for_one_digit(vector: Vector) -> None:
    error = "several" if len(vector.digits) > 1 else vector.error
    if error is not None:
        with pytest.raises(PictureError) as caught:
            prepare(vector.rgba())
        assert caught.value.kind == error
    else:
        check(vector, [prepare(vector.rgba())])


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.add_script_tag(path=SCRIPT)
    yield page
    page.close()


def in_the_browser(page: Page, function: str, vector: Vector) -> Any:
    """Call a function of prepare.js; return its typed arrays as lists."""
    rgba = vector.rgba()
    height, width, _ = rgba.shape
    return page.evaluate(
        """([name, pixels, width, height]) => {
            const rgba = Uint8ClampedArray.from(atob(pixels), (c) => c.charCodeAt(0));
            const found = KilonetPictures[name](rgba, width, height);
            const plain = (_, value) => (value instanceof Uint8Array ? [...value] : value);
            return JSON.parse(JSON.stringify(found, plain));
        }""",
        [function, base64.b64encode(rgba.tobytes()).decode("ascii"), width, height],
    )


@pytest.mark.browser
@EACH
def test_javascript(page: Page, vector: Vector) -> None:
    found = in_the_browser(page, "split", vector)
    if vector.error is not None:
        assert found == {"error": vector.error}
    else:
        check(vector, found["images"])


@pytest.mark.browser
@EACH
def test_javascript_for_one_digit(page: Page, vector: Vector) -> None:
    found = in_the_browser(page, "prepare", vector)
    if len(vector.digits) > 1:
        assert found == {"error": "several", "count": len(vector.digits)}
    elif vector.error is not None:
        assert found == {"error": vector.error}
    else:
        check(vector, [found["image"]])


def test_the_vectors_cover_every_result() -> None:
    assert {vector.error for vector in VECTORS} == {None, "blank", "noise", "too-small"}
    assert {len(vector.digits) for vector in VECTORS} >= {0, 1, 2, 3}
    assert any(vector.pixels.ndim == 3 for vector in VECTORS)
    assert max(vector.pixels.shape[0] for vector in VECTORS) > 200
