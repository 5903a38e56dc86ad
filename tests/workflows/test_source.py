"""Networks of every kind: objects and classes of the user's own, files, folders, estimators."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import kilonet
from kilonet.errors import KilonetError, RecipeError, RunError, UsageError
from kilonet.models.build import section_of
from kilonet.runs import layout
from kilonet.runs.changelog import change_log

WORDS: dict[str, Any] = {"data_name": "digits", "epochs": 1, "threads": 1, "kernels": "torch"}


class Net(nn.Module):
    """A small network whose ``width`` cannot be found out."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, width, 5, stride=4)
        self.head = nn.Linear(36 * width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        logits: torch.Tensor = self.head(self.conv(x).relu().flatten(1))
        return logits


class KeepsWidth(Net):
    """The same network, with its argument as an attribute."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.width = width


@pytest.fixture(scope="module")
def network() -> Net:
    """A network with random weights; not to be changed."""
    torch.manual_seed(1)
    return Net(3)


@pytest.fixture(scope="module")
def exported(network: Net, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network as an ONNX file."""
    folder = tmp_path_factory.mktemp("exported")
    result = kilonet.export(network, "onnx", data="digits", out=folder)
    assert result.verification is not None
    assert result.verification.same_labels == result.verification.images == 359
    return result.files[0]


def test_an_object_is_trained_in_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, without_report: None
) -> None:
    network = Net(4)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    run = kilonet.train("gap-14k", model=network, **WORDS)
    assert not torch.equal(network.conv.weight, before["conv.weight"])
    assert run.directory.metrics()["parameters"] == 1554
    assert run.recipe.model.name == f"{__name__}:Net"
    assert (run.path / layout.SOURCE / f"{__name__}.py").read_bytes() == Path(__file__).read_bytes()
    assert kilonet.evaluate(network, data="digits") == run.test
    assert kilonet.evaluate(run, model=Net(4)) == run.test
    with pytest.raises(RunError, match=r"model=Net\(\.\.\.\)"):
        kilonet.load(run, model=f"{__name__}:Net")
    with pytest.raises(RunError, match=r"do not belong to this network"):
        kilonet.load(run, model=Net(5))


def test_an_object_with_known_arguments_is_rebuilt(without_report: None) -> None:
    run = kilonet.train("gap-14k", model=KeepsWidth(4), **WORDS)
    assert run.recipe.model.model_dump() == {"name": f"{__name__}:KeepsWidth", "width": 4}
    assert kilonet.evaluate(run, model=f"{__name__}:KeepsWidth") == run.test


def test_a_network_of_a_recipe_stays_one(without_report: None) -> None:
    network = kilonet.model("gap-14k")
    run = kilonet.train("quick", model=network, **WORDS)
    assert run.recipe.model == kilonet.model("gap-14k").section
    assert kilonet.evaluate(run) == run.test
    network.extra = nn.ReLU()
    section, rebuilt = section_of(network, (1, 28, 28), 10)
    assert (section.name, rebuilt) == ("kilonet.models.conv_stack:ConvStack", False)


@pytest.mark.parametrize("model", [Net, 3, [nn.Linear(1, 1)]])
def test_not_a_network(model: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"an object of a class derived from torch\.nn\.Module"):
        kilonet.train("quick", model=model)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (nn.Conv2d(1, 3, 3), r"returned \(1, 3, 26, 26\) for one image of 1×28×28"),
        (nn.Linear(5, 10), "fails on an image of 1×28×28"),
        (nn.LazyLinear(10), "does not know its size yet"),
    ],
)
def test_an_object_that_does_not_suit(model: nn.Module, text: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=text):
        kilonet.train("quick", model=model, **WORDS)
    assert not (tmp_path / "runs").exists()


def test_an_object_is_held_to_the_budget() -> None:
    with pytest.raises(RecipeError, match=r"1,554 parameters, 554 over"):
        kilonet.train("quick", model=Net(4), max_parameters=1000, **WORDS)


def test_the_run_keeps_the_code_that_it_was_trained_with(
    own_network: Path, tmp_path: Path, without_report: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    parts = tmp_path / "tinyparts.py"
    parts.write_text("SLOPE = 0.0\n", encoding="utf-8")
    code = tmp_path / "tinynet.py"
    text = f"import tinyparts\n{code.read_text(encoding='utf-8')}"
    text = text.replace("nn.ReLU()", "nn.LeakyReLU(tinyparts.SLOPE)")
    code.write_text(text, encoding="utf-8")
    first = kilonet.train(own_network)
    again = kilonet.train(own_network)
    times = parts.stat()
    parts.write_text("SLOPE = 1.0\n", encoding="utf-8")
    os.utime(parts, ns=(times.st_atime_ns, times.st_mtime_ns))  # edited within the same second
    changed = kilonet.train(own_network)
    code.write_text(text.replace("5, stride=4", "7, stride=4"), encoding="utf-8")
    assert {path.name for path in (first.path / layout.SOURCE).iterdir()} == {
        "tinynet.py",
        "tinyparts.py",
    }
    entries, _ = change_log([run.directory for run in (first, again, changed)])
    assert entries[1].summary()[-1] == "the same recipe again"
    digests = [run.directory.facts[layout.SOURCE_KEY] for run in (first, changed)]
    assert entries[2].summary()[-1] == f"model: code {digests[0]} → {digests[1]}"
    loaded = sys.modules["tinynet"]
    assert kilonet.evaluate(first, model="tinynet:Net") == first.test
    assert kilonet.evaluate(changed, model="tinynet:Net") == changed.test
    assert sys.modules["tinynet"] is loaded
    assert not (first.path / layout.SOURCE / "__pycache__").exists()


def test_the_code_of_a_run_does_not_run_by_itself(
    own_network: Path, tmp_path: Path, without_report: None
) -> None:
    run = kilonet.train(own_network)
    (run.path / layout.SOURCE / "tinynet.py").write_text("raise SystemExit", encoding="utf-8")
    with pytest.raises(RunError, match=r"If you trust it, name the class: --model tinynet:Net"):
        kilonet.evaluate(run)
    with pytest.raises(RecipeError, match=r'Importing "tinynet" failed: SystemExit'):
        kilonet.evaluate(run, model="tinynet:Net")


def test_untrained_networks() -> None:
    state = torch.random.get_rng_state()
    weights = [
        next(kilonet.model(name, seed=seed).parameters())
        for name, seed in (("gap-14k", 0), ("gap-14k", 0), ("gap-14k", 1))
    ]
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert sum(value.numel() for value in kilonet.model("kilonet-8k").parameters()) < 8000
    assert next(kilonet.model("quick", data_name="cifar10").parameters()).shape[1] == 3
    with pytest.raises(UsageError, match='Did you mean "quick"'):
        kilonet.model("quik")


def test_a_file_and_a_module_agree(network: Net, exported: Path) -> None:
    from_module, from_file = (
        kilonet.evaluate(source, data="digits") for source in (network, exported)
    )
    assert from_module.confusion == from_file.confusion
    assert from_file.loss == pytest.approx(from_module.loss, abs=1e-5)


def test_a_file_is_exported_to_other_forms(exported: Path, tmp_path: Path) -> None:
    result = kilonet.export(exported, "onnx", data="digits", int8=True, out=tmp_path)
    assert result.verification is not None
    assert result.verification.same_labels > 300


def test_what_is_not_compared_says_so(exported: Path, tmp_path: Path) -> None:
    result = kilonet.export(exported, "onnx", raw=True, out=tmp_path)
    assert result.note == ("not compared with PyTorch: no data set is named. --data NAME names one")


@pytest.mark.compiler
def test_a_module_as_c(network: Net, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = kilonet.export(network, "c", data="digits")
    assert result.verification is not None
    assert result.verification.same_labels == 359
    assert [str(path) for path in result.files] == ["export/net.h", "export/net.c"]


def test_a_folder_and_an_estimator(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 28, 28), dtype=np.uint8)
    fitted = kilonet.Classifier("quick", epochs=1, threads=1).fit(images, np.arange(40) % 10)
    folder = kilonet.save_pretrained(fitted, tmp_path / "saved")
    assert kilonet.evaluate(fitted, data="digits") == kilonet.evaluate(folder, data="digits")
    assert kilonet.summary(fitted) == kilonet.summary(folder)
    result = kilonet.export(fitted, "huggingface", data="digits", out=tmp_path / "exported")
    assert result.verification is not None
    assert result.verification.same_labels == 359


def test_summary_and_check_of_a_module(network: Net) -> None:
    assert "1,168" in kilonet.summary(network)
    assert (
        kilonet.summary(kilonet.model("quick")).splitlines()[2:]
        == (kilonet.summary("quick").splitlines()[2:])
    )
    required = kilonet.Constraints(max_parameters=1167, min_accuracy=0.0)
    parameters, accuracy = kilonet.check(network, required, data="digits")
    assert (parameters.passed, accuracy.passed) == (False, True)


def test_robustness_of_a_file(exported: Path, tmp_path: Path) -> None:
    report = kilonet.robustness(exported, data="digits", images=10)
    assert report.files == ()
    assert report.to_json()["model"] == "Net"
    with pytest.raises(UsageError, match="Only a run has validation images"):
        kilonet.robustness(exported, data="digits", validation=True)


FUNCTIONS: list[Callable[[Any], object]] = [
    kilonet.evaluate,
    kilonet.summary,
    kilonet.robustness,
    lambda source: kilonet.check(source, kilonet.Constraints(max_parameters=9)),
    lambda source: kilonet.export(source, "c"),
    lambda source: kilonet.save_pretrained(source, "folder"),
]


@pytest.mark.parametrize("source", [{}, None, Net, kilonet.Classifier(), "absent.onnx", "absent"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_is_no_network(function: Callable[[Any], object], source: Any) -> None:
    with pytest.raises(KilonetError, match=r"was given|There is no"):
        function(source)


def test_what_a_module_and_a_file_do_not_know(network: Net, exported: Path) -> None:
    for source in (network, exported):
        with pytest.raises(UsageError, match=r'Name one: data="mnist" \(--data mnist\)'):
            kilonet.evaluate(source)
        with pytest.raises(UsageError, match=r"Name a data set of the same|expected logits"):
            kilonet.evaluate(source, data="emnist-balanced")
        with pytest.raises(UsageError, match=r"does not say the classes|has no layers"):
            kilonet.save_pretrained(source, "folder")
    for function in (kilonet.summary, FUNCTIONS[3]):
        with pytest.raises(UsageError, match=r"layers .*merged"):
            function(exported)
    with pytest.raises(UsageError, match="Only a run knows its epochs"):
        kilonet.check(network, kilonet.Constraints(max_epochs=3))


def test_a_shipped_model_is_exported_below_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KILONET_DATA", str(tmp_path))
    monkeypatch.setattr("kilonet.workflows.export.is_available", lambda *_: False)
    result = kilonet.export("kilonet-2k", "onnx")
    assert result.files == (Path("export/kilonet-2k.onnx"),)
