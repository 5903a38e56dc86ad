"""A page in a real Chromium, called from Python."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from networks import MEAN, STD, example, pictures
from playwright.sync_api import Browser

from kilonet.data.dataset import load_dataset
from kilonet.errors import KilonetError
from kilonet.exports.html import browser as module
from kilonet.exports.html.browser import BrowserNetwork, find_browser, why_no_browser
from kilonet.exports.html.document import page
from kilonet.exports.verify import verify


@pytest.fixture
def gap(browser: Browser, tmp_path: Path) -> Path:
    """The page of gap-14k's network.

    ``browser`` keeps an event loop running in this thread, as a notebook does.
    """
    return written("gap-14k", tmp_path)


def written(name: str, folder: Path) -> Path:
    path = folder / f"{name}.html"
    path.write_text(page(example(name).graph, name), encoding="utf-8")
    return path


@pytest.mark.browser
def test_runs(gap: Path) -> None:
    found = example("gap-14k")
    images = pictures(600)
    with BrowserNetwork(gap) as network:
        logits = network.logits(images)
        seconds = [network.one(images[:1]) for _ in range(9)]
    np.testing.assert_allclose(logits, found.logits(images), atol=1e-3)
    assert 0 < sorted(seconds)[4] < 0.1, "the goal is 10 ms; the rest is for busy machines"


@pytest.mark.browser
@pytest.mark.mnist
@pytest.mark.slow
def test_mnist_through_what_drawing_calls(
    browser: Browser, tmp_path: Path, mnist_dir: Path
) -> None:
    dataset = load_dataset("mnist", mnist_dir)
    model = example("quick").model
    with BrowserNetwork(written("quick", tmp_path)) as network, torch.inference_mode():
        images, labels = dataset.test_images, dataset.test_labels
        found = verify(network, model, images, labels, MEAN, STD)
    assert (found.images, found.same_labels) == (10_000, 10_000)
    assert found.largest_logit_difference < 1e-3


@pytest.mark.browser
def test_a_page_without_a_network_is_named(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "empty.html"
    path.write_text("<!doctype html>", encoding="utf-8")
    with pytest.raises(KilonetError, match=r"cannot run .*empty.html: .*kilonet is not defined"):
        BrowserNetwork(path)


def test_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_browser", lambda: "/usr/bin/chromium")
    assert why_no_browser() is None
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    assert "pip install playwright" in str(why_no_browser())
    monkeypatch.setattr(module, "find_browser", find_browser)
    monkeypatch.setenv("PATH", "")
    assert find_browser() is None
    assert "no Chromium" in str(why_no_browser())
