"""Run an exported page in Chromium on this machine, through its ``kilonet.predict``."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from kilonet.errors import KilonetError
from kilonet.exports.graph.interpret import Pixels

if TYPE_CHECKING:
    from playwright.sync_api import Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_ARGUMENTS = ("--disable-background-networking", "--disable-component-update")
BATCH = 500
MIN_TIMED = 5.0
"""Milliseconds. A shorter time is too inexact with a browser's coarse clock."""

Result = TypeVar("Result")

PREDICT = """([content, size]) => {
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    const picture = (_, i) => bytes.subarray(i * size, (i + 1) * size);
    const pictures = Array.from({ length: bytes.length / size }, picture);
    return pictures.map((pixels) => [...kilonet.predict(pixels).logits]);
}"""

TIME = """([content, minimum]) => {
    const pixels = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    const start = performance.now();
    let [count, elapsed] = [0, 0];
    for (; elapsed < minimum; elapsed = performance.now() - start, count++) kilonet.predict(pixels);
    return elapsed / count / 1000;
}"""


def find_browser() -> str | None:
    """Return the path of Chromium, or None if it is not installed."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def why_no_browser() -> str | None:
    """Return why this machine cannot run a page, or None if it can."""
    if find_browser() is None:
        return f"no Chromium ({', '.join(BROWSERS)}) on this machine to open it in"
    if find_spec("playwright") is None:
        return "no Playwright here to open it in Chromium with: pip install playwright"
    return None


class BrowserNetwork:
    """The network of the page ``path``: a context manager that closes the browser at the end.

    Playwright has its own thread, so that this also works inside another event loop.

    Raises:
        KilonetError: the browser does not start, or the page has no network.
    """

    def __init__(self, path: Path) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._closing: list[Callable[[], Any]] = []
        try:
            self._page = self._in_thread(lambda: self._open(path.resolve()))
        except BaseException:
            self._close()
            raise

    def __enter__(self) -> BrowserNetwork:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._close()

    def logits(self, images: Pixels) -> npt.NDArray[np.float32]:
        """Return the logits (N, K) of uint8 images (N, C, H, W)."""
        size = int(np.prod(images.shape[1:]))
        batches = [images[i : i + BATCH] for i in range(0, len(images), BATCH)]
        rows = [self._call(PREDICT, [_encoded(batch), size]) for batch in batches]
        return np.concatenate([np.array(batch, np.float32) for batch in rows])

    def one(self, image: Pixels) -> float:
        """Run one image (1, C, H, W); return the seconds on the browser's own clock."""
        return float(self._call(TIME, [_encoded(image), MIN_TIMED]))

    def _open(self, path: Path) -> Page:
        from playwright.sync_api import Error, sync_playwright

        program = find_browser()
        try:
            playwright = sync_playwright().start()
            self._closing.append(playwright.stop)
            browser = playwright.chromium.launch(
                executable_path=program, args=[*CHROMIUM_ARGUMENTS]
            )
            self._closing.append(browser.close)
            page = browser.new_page()
            page.goto(path.as_uri())
            page.evaluate("() => kilonet.shape")
        except Error as error:
            first = str(error).splitlines()[0]
            raise KilonetError(f"{program} cannot run {path}: {first}") from None
        return page

    def _call(self, script: str, argument: list[Any]) -> Any:
        return self._in_thread(lambda: self._page.evaluate(script, argument))

    def _in_thread(self, work: Callable[[], Result]) -> Result:
        return self._thread.submit(work).result()

    def _close(self) -> None:
        for close in reversed(self._closing):
            self._in_thread(close)
        self._thread.shutdown()


def _encoded(images: Pixels) -> str:
    """Return pixels in the page's order, in base64: row by row, a pixel's channels side by side."""
    return base64.b64encode(images.transpose(0, 2, 3, 1).tobytes()).decode("ascii")
