"""An exported page in a real Chromium on this machine, through the function that drawing calls."""

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
QUIET = ("--disable-background-networking", "--disable-component-update")
BATCH = 500
SHORTEST = 5.0
"""Milliseconds that are timed at least, as a browser's clock is coarse."""

Result = TypeVar("Result")

PREDICT = """([content, size]) => {
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    const picture = (_, i) => bytes.subarray(i * size, (i + 1) * size);
    const pictures = Array.from({ length: bytes.length / size }, picture);
    return pictures.map((pixels) => [...kilonet.predict(pixels).logits]);
}"""

TIME = """([content, shortest]) => {
    const pixels = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    const began = performance.now();
    let [count, taken] = [0, 0];
    for (; taken < shortest; taken = performance.now() - began, count++) kilonet.predict(pixels);
    return taken / count / 1000;
}"""


def find_browser() -> str | None:
    """Return the path of a Chromium, or None where there is none."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def why_not() -> str | None:
    """Return why no page can be run here, or None where one can."""
    if find_browser() is None:
        return f"no Chromium ({', '.join(BROWSERS)}) on this machine to open it in"
    if find_spec("playwright") is None:
        return "no Playwright here to open it in Chromium with: pip install playwright"
    return None


class BrowserNetwork:
    """The network of the page ``path``; a context manager that closes the browser afterwards.

    Playwright has a thread to itself, so that this works where another event loop runs.

    Raises:
        KilonetError: the browser does not start, or the page has no network to call.
    """

    def __init__(self, path: Path) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._closing: list[Callable[[], Any]] = []
        try:
            self._page = self._within(lambda: self._open(path.resolve()))
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
        """Read one image (1, C, H, W); return the seconds that took by the browser's own clock."""
        return float(self._call(TIME, [_encoded(image), SHORTEST]))

    def _open(self, path: Path) -> Page:
        from playwright.sync_api import Error, sync_playwright

        program = find_browser()
        try:
            playwright = sync_playwright().start()
            self._closing.append(playwright.stop)
            browser = playwright.chromium.launch(executable_path=program, args=[*QUIET])
            self._closing.append(browser.close)
            page = browser.new_page()
            page.goto(path.as_uri())
            page.evaluate("() => kilonet.shape")
        except Error as error:
            first = str(error).splitlines()[0]
            raise KilonetError(f"{program} cannot run {path}: {first}") from None
        return page

    def _call(self, script: str, argument: list[Any]) -> Any:
        return self._within(lambda: self._page.evaluate(script, argument))

    def _within(self, work: Callable[[], Result]) -> Result:
        return self._thread.submit(work).result()

    def _close(self) -> None:
        for close in reversed(self._closing):
            self._within(close)
        self._thread.shutdown()


def _encoded(images: Pixels) -> str:
    """Return pixels as the page takes them: row by row, the channels of a pixel side by side."""
    return base64.b64encode(images.transpose(0, 2, 3, 1).tobytes()).decode("ascii")
