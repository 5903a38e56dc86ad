"""The text of the page: whole, small, closed to everything else, and honest in what it offers."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, replace
from importlib.resources import files

import pytest
from networks import NAMES, example

from kilonet.exports.graph.operators import Graph, Operator, UnsupportedOperatorError
from kilonet.exports.html.emit import KNOWN, SCRIPTS, page
from kilonet.models.blocks import P4Conv2d
from kilonet.preprocessing import errors


def policy(text: str) -> str:
    found = re.search(r'http-equiv="Content-Security-Policy" content="(.*)"', text)
    assert found
    return found[1]


@pytest.mark.parametrize("name", NAMES)
def test_every_network_is_under_200_kb(name: str) -> None:
    graph = example(name).graph
    model = example(name).model
    p4 = any(isinstance(module, P4Conv2d) for module in model.modules())
    written = sum(p.numel() for p in model.parameters()) * (4 if p4 else 1)
    text = page(graph, "net")
    assert len(text.encode()) < max(200_000, 100_000 + 6 * written)


def test_gap_14k_is_under_150_kb() -> None:
    assert len(page(example("gap-14k").graph, "net").encode()) < 160_000


def test_nothing_is_loaded_and_only_its_own_scripts_run() -> None:
    text = page(example("quick").graph, "net")
    assert not re.search(r"(src|href)=\"(?!data:)", text)
    assert "http:" not in text
    assert "https:" not in text
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == len(SCRIPTS) + 1
    styles = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    for content in [*scripts, *styles]:
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy(text)
    assert policy(text).startswith("default-src 'none'; ")
    assert "unsafe" not in policy(text)


def test_names_cannot_become_markup() -> None:
    graph = replace(example("quick").graph, metadata={"recipe": "<b>", "dataset": '"&'})
    text = page(graph, "<i>net</i>")
    assert "<b>" not in text
    assert "<i>" not in text
    assert "Recipe &lt;b&gt;, data set &quot;&amp;" in text


@dataclass(frozen=True, eq=False, kw_only=True)
class Erf(Operator):
    """What the page lacks."""


def test_what_is_lacking_is_named() -> None:
    graph = example("quick").graph
    more = Erf(output="odd", sources=("logits",), shape=(10,))
    with pytest.raises(UnsupportedOperatorError, match=r"The target html lacks .*: Erf"):
        page(replace(graph, operators=(*graph.operators, more)), "net")


def test_the_script_has_what_the_emitter_says() -> None:
    script = (files("kilonet.exports.html") / "page" / "operators.js").read_text(encoding="utf-8")
    table = script[script.rindex("return {") :]
    assert {kind.__name__ for kind in KNOWN} == {*re.findall(r"^    (\w+):", table, re.MULTILINE)}


def test_every_refusal_of_the_preparation_has_words() -> None:
    script = (files("kilonet.exports.html") / "page" / "reading.js").read_text(encoding="utf-8")
    kinds = {error.kind for error in errors.PictureError.__subclasses__()} - {"too-large"}
    table = script[script.index("MESSAGES") : script.index("};")]
    assert kinds <= {*re.findall(r"^  \"?([\w-]+)\"?:", table, re.MULTILINE)}


@pytest.mark.parametrize(
    ("image", "way", "said"),
    [
        ((1, 28, 28), "prepared", "Draw a digit"),
        ((1, 8, 8), "as-it-is", "scaled to 8×8 grey pixels, and not prepared"),
        ((3, 32, 24), "as-it-is", "scaled to 24×32 colour pixels, and not prepared"),
        ((4, 8, 8), "from-programs", "8×8 pixels of 4 channels"),
    ],
)
def test_what_the_page_offers(image: tuple[int, ...], way: str, said: str) -> None:
    graph = example("quick").graph
    text = page(Graph(image, graph.operators, graph.metadata), "net")
    assert f'<body class="{way}"' in text
    assert said in text
