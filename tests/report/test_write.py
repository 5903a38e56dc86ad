"""The report as files: what it says, that it says it safely, and that it needs nothing else.

``KILONET_REGENERATE_GOLDEN=1 pytest tests/report/test_write.py`` writes the golden report anew;
read the difference before committing it.
"""

from __future__ import annotations

import base64
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from kilonet.evaluation.metrics import measure
from kilonet.report import rendering
from kilonet.report.write import ReportFacts, write_report

GOLDEN = Path(__file__).parent / "golden" / "report.html"
CLASSES = ("cat", "dog", "owl")
FILES = ["confusion_matrix.png", "mistakes.png", "report.html", "training_metrics.png"]
EVIL = '<script>alert("1|2")</script> `*_[x](y)_*` & more'
VOID = {"meta", "link", "img", "br", "hr"}


def facts(**changes: Any) -> ReportFacts:
    labels = np.array([0, 0, 1, 1, 2, 2, 2, 2])
    p = np.full((8, 3), 0.02) + 0.94 * np.eye(3)[[0, 0, 1, 2, 2, 2, 2, 0]]
    images = np.random.default_rng(0).integers(0, 256, (8, 28, 28), dtype=np.uint8)
    rows = [
        {
            "epoch": epoch,
            "learning_rate": 0.01 / epoch,
            "train_loss": 0.9 / epoch,
            "train_accuracy": 0.8 + 0.02 * epoch,
            "validation_loss": 0.8 / epoch,
            "validation_accuracy": 0.81 + 0.03 * epoch,
            "seconds": 1.25,
            "images_per_second": 12_345.6,
        }
        for epoch in (1, 2)
    ]
    fixed = ReportFacts(
        title="quick-0001",
        recipe_name="quick",
        recipe_text='[model]\nname = "conv-stack"\n',
        dataset_title="Pets",
        dataset_name="pets",
        dataset_note=None,
        parameters=22_214,
        macs=652_320,
        activation_bytes=14_720,
        layers=[
            ("conv", "1×28×28", "5×5", "20×12×12", 520, 72_000),
            ("fc", "432", "", "3", 1299, 0),
        ],
        history=rows,
        best_epoch=2,
        metrics=measure(p, labels, CLASSES),
        classes=CLASSES,
        test_images=images,
        test_labels=labels,
        probabilities=p,
        environment={"python": "3.11.9", "threads": "2"},
        checks=[("at most 25,000 parameters", True, "22,214"), ("at least 99 %", False, "75.00 %")],
        seconds_total=2.5,
        stopped_because="all 2 epochs done",
        weights_evaluated="best",
    )
    return replace(fixed, **changes)


def page_of(of: ReportFacts) -> str:
    """Return the page, without drawing pictures."""
    return rendering.html(of, {name: name for name in FILES if name.endswith(".png")})


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
    text = page_of(facts())
    if os.environ.get("KILONET_REGENERATE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_files_are_written_whole_and_always_the_same(tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        write_report(folder, facts())
        assert sorted(path.name for path in folder.iterdir()) == FILES
        contents.append([(folder / file).read_bytes() for file in FILES])
    assert contents[0] == contents[1]


def test_html_has_the_pictures_inside(tmp_path: Path) -> None:
    write_report(tmp_path, facts())
    sources = [
        i["src"] or "" for i in Page((tmp_path / "report.html").read_text("utf-8")).all("img")
    ]
    inside = [base64.b64decode(source.removeprefix("data:image/png;base64,")) for source in sources]
    names = ("training_metrics.png", "confusion_matrix.png", "mistakes.png")
    assert inside == [(tmp_path / name).read_bytes() for name in names]


def test_html_asks_nothing_of_a_network(tmp_path: Path) -> None:
    write_report(tmp_path, facts())
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
    text = page_of(facts())
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
    of = facts(dataset_note="Pets stood in for MNIST.")
    text = Page(page_of(of)).text
    for said in (
        "75.00 % of 8 Pets test images are classified correctly "
        "(Wilson 95 % interval 40.93–92.85 %) "
        "with 22,214 parameters after 2 epochs, 2.5 s.",
        "Pets stood in for MNIST.",
        "2 of 8 images were misclassified, most often dog as owl (1 time) and owl as cat (1 time).",
        "652,320", "14.4 KiB", "72,000", "1×28×28", "20×12×12", "1,299",
        "0.4500", "84.00 %", "0.4000", "87.00 %", "0.005", "12,346",
        f"{of.metrics.loss:.4f} nats", f"{100 * of.metrics.calibration_error:.2f} %",
        "66.67 %", "80.00 %", "Every mistake", "1 of 2 constraints not met.",
        "at most 25,000 parameters", "✓", "✗", "kilonet train recipe.toml",
        'name = "conv-stack"', "3.11.9", "all 2 epochs done", "weights are those of epoch 2",
        "The test set was evaluated once",
    ):  # fmt: skip
        assert said in text


def evil_facts() -> ReportFacts:
    plain = facts()
    classes = (EVIL, "dog", "owl")
    return replace(
        plain,
        title=EVIL,
        recipe_name=EVIL,
        recipe_text=f"# {EVIL}\n```\n</code></pre>{EVIL}\n",
        dataset_title=EVIL,
        dataset_name=EVIL,
        dataset_note=EVIL,
        layers=[(EVIL, EVIL, EVIL, EVIL, EVIL, EVIL)],
        classes=classes,
        metrics=measure(plain.probabilities, plain.test_labels, classes),
        environment={EVIL: EVIL},
        checks=[(EVIL, False, EVIL)],
        stopped_because=EVIL,
    )


def test_html_shows_foreign_text_and_obeys_none_of_it() -> None:
    page, harmless = Page(page_of(evil_facts())), Page(page_of(facts(dataset_note="-")))
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in harmless.tags}
    assert page.text.count(EVIL) >= 14


def test_recorded_test_accuracy_is_named_as_what_it_is() -> None:
    rows = [{**row, "test_accuracy": 0.8125} for row in facts().history]
    text = page_of(facts(history=rows))
    assert "test accuracy (recorded only; no decision uses it)" in text and "81.25 %" in text
    assert "evaluated once" not in text and "The test set decided nothing." in text
    assert "recorded" not in page_of(facts())


def test_without_validation_nothing_is_said_to_have_been_chosen() -> None:
    rows = [{k: v for k, v in r.items() if "validation" not in k} for r in facts().history]
    text = page_of(facts(history=rows))
    assert "no epoch was selected" in text and "best on validation" not in text
    assert "validation loss" not in text


def test_the_last_weights_are_not_called_the_best() -> None:
    text = page_of(facts(best_epoch=1, weights_evaluated="last"))
    assert "the last epoch, 2" in text
    assert "Epoch 1 had the highest accuracy on the validation images" in text


def test_a_recipe_without_constraints_says_so() -> None:
    assert "sets no constraints" in page_of(facts(checks=[]))
    passed = [("at most 2 epochs", True, "2")]
    assert "1 constraint, all met." in page_of(facts(checks=passed))


def test_many_epochs_are_folded_away() -> None:
    rows = [{**facts().history[0], "epoch": epoch} for epoch in range(1, 41)]
    assert "All 40 epochs" in Page(page_of(facts(history=rows))).text
    assert not Page(page_of(facts())).all("details")


def test_a_flawless_model_is_reported_too(tmp_path: Path) -> None:
    of = facts()
    p = np.eye(3)[of.test_labels]
    flawless = replace(of, probabilities=p, metrics=measure(p, of.test_labels, CLASSES))
    write_report(tmp_path, flawless)
    assert "All 8 images were classified correctly." in (tmp_path / "report.html").read_text(
        "utf-8"
    )
