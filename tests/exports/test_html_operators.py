"""The interpreter in JavaScript, in a real browser, held to the reference in NumPy."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from networks import NAMES, example, pictures
from playwright.sync_api import Browser, Page
from random_graphs import graphs

from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.interpret import Pixels, interpret
from kilonet.exports.graph.lower import lower
from kilonet.exports.graph.operators import Graph
from kilonet.exports.html.document import NetworkDescription

pytestmark = pytest.mark.browser
RUN = """([description, encoded]) => {
    const network = buildNetwork(JSON.parse(description));
    const pixels = encoded.map((text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)));
    const numbers = ({ value }) => [...value.data].map((x) => (Number.isFinite(x) ? x : String(x)));
    return pixels.map((one) => { network.run(one); return network.layers.map(numbers); });
}"""


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    for name in ("operators.js", "network.js"):
        script = (files("kilonet.exports.html") / "page" / name).read_text(encoding="utf-8")
        page.add_script_tag(content=script)
    yield page
    page.close()


def layers(page: Page, graph: Graph, images: Pixels) -> list[list[Any]]:
    encoded = [
        base64.b64encode(np.ascontiguousarray(image.transpose(1, 2, 0))).decode()
        for image in images
    ]
    found: list[list[Any]] = page.evaluate(RUN, [NetworkDescription(graph).to_json(), encoded])
    return found


def compare(page: Page, graph: Graph, images: Pixels) -> None:
    """Every value of every picture, those between the layers too, channels last as they lie."""
    values = interpret(graph, images)
    for number, rows in enumerate(layers(page, graph, images)):
        for op, row in zip(graph.operators, rows, strict=True):
            expected = values[op.output][number]
            if expected.ndim == 3:
                expected = expected.transpose(1, 2, 0)
            found = np.array(row, np.float32)
            np.testing.assert_allclose(found, expected.ravel(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_every_network(page: Page, name: str) -> None:
    compare(page, example(name).graph, pictures(3))


@given(content=graphs())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_random_graphs(page: Page, content: bytes) -> None:
    path = example("quick").path.with_name("random-html.onnx")
    path.write_bytes(content)
    graph = lower(path)
    images = np.random.default_rng(1).integers(0, 256, (2, *graph.image), dtype=np.uint8)
    compare(page, graph, images)


def test_groups_of_several_channels_and_views_that_move(page: Page) -> None:
    generator = np.random.default_rng(3)
    weight = generator.normal(size=(6, 2, 2, 3)).astype(np.float32)
    scaling = ops.InputScaling(
        output="scaled1",
        sources=("image",),
        shape=(4, 5, 6),
        scale=np.array([0.01, 0.02, -0.01, 0.005], np.float32),
        offset=np.array([0, -1, 1, 0.5], np.float32),
    )
    conv = ops.Conv2d(
        output="conv1",
        sources=("scaled1",),
        shape=(6, 5, 3),
        weight=weight,
        bias=generator.normal(size=6).astype(np.float32),
        stride=(1, 2),
        padding=(0, 1, 1, 0),
        groups=2,
    )
    shaped = ops.Reshape(output="reshaped1", sources=("conv1",), shape=(5, 9, 2))
    flat = ops.Flatten(output="logits", sources=("reshaped1",), shape=(90,))
    soft = ops.Softmax(output="probabilities", sources=("logits",), shape=(90,))
    images = generator.integers(0, 256, (2, 4, 5, 6), dtype=np.uint8)
    compare(page, Graph((4, 5, 6), (scaling, conv, shaped, flat, soft)), images)


def test_pixels_of_another_size_are_refused(page: Page) -> None:
    text = page.evaluate(
        """(description) => {
            try { buildNetwork(JSON.parse(description)).run(new Uint8Array(3)); }
            catch (error) { return error.message; }
        }""",
        NetworkDescription(example("quick").graph).to_json(),
    )
    assert text == "3 pixel values; the network takes 784: 1×28×28."
