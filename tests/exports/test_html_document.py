"""The text of the page: complete, small, and closed to everything else; the network in it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, replace
from importlib.resources import files

import numpy as np
import pytest
from networks import NAMES, example

from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.operators import Graph, Operator, UnsupportedOperatorError
from kilonet.exports.html.document import SCRIPTS, SUPPORTED, NetworkDescription, page
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
    """An operator that the page lacks."""


def test_a_missing_operator_is_named() -> None:
    graph = example("quick").graph
    more = Erf(output="odd", sources=("logits",), shape=(10,))
    with pytest.raises(UnsupportedOperatorError, match=r"The target html lacks .*: Erf"):
        page(replace(graph, operators=(*graph.operators, more)), "net")


def test_the_script_has_every_supported_operator() -> None:
    script = (files("kilonet.exports.html") / "page" / "operators.js").read_text(encoding="utf-8")
    table = script[script.rindex("return {") :]
    assert {kind.__name__ for kind in SUPPORTED} == {
        *re.findall(r"^    (\w+):", table, re.MULTILINE)
    }


def test_every_error_of_the_preparation_has_a_message() -> None:
    script = (files("kilonet.exports.html") / "page" / "predict.js").read_text(encoding="utf-8")
    kinds = {error.kind for error in errors.PictureError.__subclasses__()}
    kinds -= {"too-large", "not-a-digit"}  # the page has no limit, and no detector of digits
    table = script[script.index("MESSAGES") : script.index("};")]
    assert kinds <= {*re.findall(r"^  \"?([\w-]+)\"?:", table, re.MULTILINE)}


@pytest.mark.parametrize(
    ("image", "mode", "expected"),
    [
        ((1, 28, 28), "prepared", "Draw a digit"),
        ((1, 8, 8), "scaled", "scaled to 8×8 grey pixels, and not prepared"),
        ((3, 32, 24), "scaled", "scaled to 24×32 colour pixels, and not prepared"),
        ((4, 8, 8), "from-programs", "8×8 pixels with 4 channels"),
    ],
)
def test_the_page_accepts_what_the_network_can_take(
    image: tuple[int, ...], mode: str, expected: str
) -> None:
    graph = example("quick").graph
    text = page(Graph(image, graph.operators, graph.metadata), "net")
    assert f'<body class="{mode}"' in text
    assert expected in text


def test_every_weight_is_stored_once() -> None:
    graph = example("simple-8k").graph
    found = json.loads(NetworkDescription(graph).to_json())
    numbers = np.frombuffer(base64.b64decode(found["weights"]), "<f4")
    at = 0
    for op, described in zip(graph.operators, found["operators"], strict=True):
        assert described["kind"] == type(op).__name__
        assert (described["output"], described["shape"]) == (op.output, [*op.shape])
        for key, value in vars(op).items():
            if isinstance(value, np.ndarray):
                assert described[key] == {"at": at, "length": value.size}
                np.testing.assert_array_equal(numbers[at : at + value.size], value.ravel())
                at += value.size
        if isinstance(op, ops.Conv2d):
            assert described["kernel"] == [*op.kernel]
    assert at == len(numbers)


def test_one_in_four_p4_filters_is_stored() -> None:
    whole = sum(
        op.weight.size for op in example("kilonet-2k").graph.operators if isinstance(op, ops.Conv2d)
    )
    found = json.loads(NetworkDescription(example("kilonet-2k").graph).to_json())
    p4 = [op["p4"] for op in found["operators"] if "p4" in op]
    assert len(p4) > 10
    assert all(filters["regular"] for filters in p4 if filters["inputs"] > 1)
    stored = base64.b64decode(found["weights"])
    assert NetworkDescription(example("kilonet-2k").graph).weights == len(stored) // 4
    assert len(stored) < 0.5 * 4 * whole


def test_no_text_ends_its_element() -> None:
    classes = ",".join(["</script>", *map(str, range(1, 10))])
    text = NetworkDescription(
        replace(example("quick").graph, metadata={"classes": classes})
    ).to_json()
    assert "<" not in text
    assert json.loads(text)["classes"][0] == "</script>"
