"""The report as files: what it says, that it says it safely, and that it needs nothing else.

``KILONET_REGENERATE_GOLDEN=1 pytest tests/report/test_write.py`` writes the golden report anew;
read the difference before committing it.
"""

from __future__ import annotations

import base64
import os
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from kilonet.data.dataset import Dataset
from kilonet.evaluation.metrics import measure
from kilonet.progress import Row
from kilonet.recipe.load import resolve
from kilonet.report.facts import EvaluatedRun
from kilonet.report.write import run_html, write_report
from kilonet.training.fit import Outcome

GOLDEN = Path(__file__).parent / "golden" / "report.html"
CLASSES = ("cat", "dog", "owl")
FILES = ["confusion_matrix.png", "mistakes.png", "report.html", "training_metrics.png"]
EVIL = '<script>alert("1|2")</script> `*_[x](y)_*` & more'
VOID = {"meta", "link", "img", "br", "hr"}


def network(name: str = "conv") -> nn.Module:
    """Return a network of 260 + 4,323 parameters."""
    layers = {name: nn.Conv2d(1, 10, 5, stride=2), "flatten": nn.Flatten()}
    return nn.Sequential(OrderedDict({**layers, "fc": nn.Linear(1440, 3)}))


def row(epoch: int) -> Row:
    return {
        "epoch": epoch,
        "learning_rate": 0.01 / epoch,
        "train_loss": 0.9 / epoch,
        "train_accuracy": 0.8 + 0.02 * epoch,
        "validation_loss": 0.8 / epoch,
        "validation_accuracy": 0.81 + 0.03 * epoch,
        "seconds": 1.25,
        "images_per_second": 12_345.6,
    }


def evaluated(rows: Sequence[Row] = (), best_epoch: int = 2, **changes: Any) -> EvaluatedRun:
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 2, 2])
    p = np.full((8, 3), 0.02) + 0.94 * np.eye(3)[[0, 0, 1, 2, 2, 2, 2, 0]]
    images = np.random.default_rng(0).integers(0, 256, (8, 1, 28, 28), dtype=np.uint8)
    split = (torch.from_numpy(images), labels)
    constraints = ["constraints.max_parameters=25000", "constraints.min_accuracy=0.99"]
    history = [*rows] or [row(1), row(2)]
    fixed = EvaluatedRun(
        name="quick-0001",
        facts={
            "recipe": "quick",
            "data_note": None,
            "environment": {"python": "3.11.9", "threads": "2"},
        },
        recipe=resolve("quick", ["constraints=off", *constraints]).recipe,
        model=network(),
        outcome=Outcome(history, best_epoch, {}, {}, f"all {len(history)} epochs done"),
        dataset=Dataset("pets", "Pets", *split, *split, CLASSES, (0.5,), (0.5,), "here"),
        probabilities=p,
        metrics=measure(p, labels.numpy(), CLASSES),
    )
    return replace(fixed, **changes)


def with_facts(run: EvaluatedRun, **facts: Any) -> EvaluatedRun:
    return replace(run, facts={**run.facts, **facts})


def page_of(of: EvaluatedRun) -> str:
    """Return the page, without drawing pictures."""
    return run_html(of, {name: name for name in FILES if name.endswith(".png")})


class Page(HTMLParser):
    """Reads a page strictly: every element is closed, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_golden() -> None:
    """Without the text of the recipe, which gets new keys."""
    page = page_of(evaluated())
    text = re.sub(r'(<pre tabindex="0"><code>).*?(</code>)', r"\1\2", page, flags=re.DOTALL)
    if os.environ.get("KILONET_REGENERATE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_files_are_written_whole_and_always_the_same(tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        write_report(folder, evaluated())
        assert sorted(path.name for path in folder.iterdir()) == FILES
        contents.append([(folder / file).read_bytes() for file in FILES])
    assert contents[0] == contents[1]


def test_html_has_the_pictures_inside(tmp_path: Path) -> None:
    write_report(tmp_path, evaluated())
    sources = [
        i["src"] or "" for i in Page((tmp_path / "report.html").read_text("utf-8")).all("img")
    ]
    inside = [base64.b64decode(source.removeprefix("data:image/png;base64,")) for source in sources]
    names = ("training_metrics.png", "confusion_matrix.png", "mistakes.png")
    assert inside == [(tmp_path / name).read_bytes() for name in names]


def test_html_asks_nothing_of_a_network(tmp_path: Path) -> None:
    write_report(tmp_path, evaluated())
    text = (tmp_path / "report.html").read_text("utf-8")
    assert not re.search(r"https?://|url\(|@import", text)
    page = Page(text)
    for tag, attributes in page.tags:
        assert tag not in {"script", "iframe", "object", "embed", "base", "form"}
        for name in ("src", "href", "srcset", "data", "action"):
            assert (attributes.get(name) or "data:").startswith("data:")
    policy = [m["content"] for m in page.all("meta") if m.get("http-equiv")]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_html_is_for_everyone() -> None:
    text = page_of(evaluated())
    page = Page(text)
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1 and len(page.all("main")) == 1
    assert all(len(image["alt"] or "") > 40 for image in page.all("img"))
    assert all(header.get("scope") in {"row", "col"} for header in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table")) == 4
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {section["aria-labelledby"] for section in page.all("section")} == set(ids)
    assert "width=device-width" in text and "prefers-color-scheme: dark" in text


def test_every_figure_is_there() -> None:
    of = with_facts(evaluated(), data_note="Pets stood in for MNIST.")
    text = Page(page_of(of)).text
    for said in (
        "75.00 % of 8 Pets test images are classified correctly "
        "(Wilson 95 % interval 40.93–92.85 %) "
        "with 4,583 parameters after 2 epochs, 2.5 s.",
        "Pets stood in for MNIST.",
        "2 of 8 images were misclassified, most often dog as owl (1 time) and owl as cat (1 time).",
        "40,320", "11.2 KiB", "36,000", "1×28×28", "10×12×12", "4,323",
        "0.4500", "84.00 %", "0.4000", "87.00 %", "0.005", "12,346",
        f"{of.metrics.loss:.4f} nats", f"{100 * of.metrics.calibration_error:.2f} %",
        "66.67 %", "80.00 %", "Every mistake", "1 of 2 constraints not met.",
        "at most 25,000 parameters", "✓", "✗", "kilonet train recipe.toml",
        'name = "conv-stack"', "3.11.9", "all 2 epochs done", "weights are those of epoch 2",
        "The test set was evaluated once",
    ):  # fmt: skip
        assert said in text


def evil_run() -> EvaluatedRun:
    plain = with_facts(
        evaluated(model=network(EVIL)), recipe=EVIL, data_note=EVIL, environment={EVIL: EVIL}
    )
    classes = (EVIL, "dog", "owl")
    named = replace(plain.dataset, name=EVIL, title=EVIL, classes=classes)
    metrics = measure(plain.probabilities, named.test_labels.numpy(), classes)
    outcome = replace(plain.outcome, stopped_because=EVIL)
    recipe = plain.recipe.model_copy(update={"title": f"</code></pre>{EVIL}"})
    changes = {"dataset": named, "metrics": metrics, "outcome": outcome, "recipe": recipe}
    return replace(plain, name=EVIL, **changes)


def test_html_shows_foreign_text_and_obeys_none_of_it() -> None:
    page, harmless = (
        Page(page_of(evil_run())),
        Page(page_of(with_facts(evaluated(), data_note="-"))),
    )
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in harmless.tags}
    assert page.text.count(EVIL) >= 14


def test_recorded_test_accuracy_is_named_as_what_it_is() -> None:
    rows = [{**row, "test_accuracy": 0.8125} for row in evaluated().outcome.history]
    text = page_of(evaluated(rows))
    assert "test accuracy (recorded only; no decision uses it)" in text and "81.25 %" in text
    assert "evaluated once" not in text and "The test set decided nothing." in text
    assert "recorded" not in page_of(evaluated())


def test_without_validation_nothing_is_said_to_have_been_chosen() -> None:
    rows = [
        {k: v for k, v in r.items() if "validation" not in k} for r in evaluated().outcome.history
    ]
    text = page_of(evaluated(rows))
    assert "no epoch was selected" in text and "best on validation" not in text
    assert "validation loss" not in text


def test_the_last_weights_are_not_called_the_best() -> None:
    text = page_of(evaluated(best_epoch=1, recipe=resolve("quick", ["training.keep=last"]).recipe))
    assert "the last epoch, 2" in text
    assert "Epoch 1 had the highest accuracy on the validation images" in text


def test_a_recipe_without_constraints_says_so() -> None:
    recipe = resolve("quick", ["constraints=off"]).recipe
    assert "sets no constraints" in page_of(evaluated(recipe=recipe))
    recipe = resolve("quick", ["constraints=off", "constraints.max_epochs=20"]).recipe
    assert "1 constraint, all met." in page_of(evaluated(recipe=recipe))


def test_many_epochs_are_folded_away() -> None:
    rows = [row(1) | {"epoch": epoch} for epoch in range(1, 41)]
    assert "All 40 epochs" in Page(page_of(evaluated(rows))).text
    assert not Page(page_of(evaluated())).all("details")


def test_a_flawless_model_is_reported_too(tmp_path: Path) -> None:
    of = evaluated()
    labels = of.dataset.test_labels.numpy()
    p = np.eye(3)[labels]
    flawless = replace(of, probabilities=p, metrics=measure(p, labels, CLASSES))
    write_report(tmp_path, flawless)
    assert "All 8 images were classified correctly." in (tmp_path / "report.html").read_text(
        "utf-8"
    )
