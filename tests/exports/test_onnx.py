"""The exported file against PyTorch: same logits, same labels, any batch, nothing else in it."""

from __future__ import annotations

import logging
import re
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from kilonet.errors import KilonetError, MissingExtraError
from kilonet.exports.onnx import FromPixels, export_onnx
from kilonet.models.build import build
from kilonet.models.measure import count_parameters
from kilonet.recipe.load import resolve

MEAN, STD = (0.1307,), (0.3081,)
METADATA = {"classes": "0,1,2,3,4,5,6,7,8,9", "dataset": "mnist", "über": "日本語 100 %"}
FAMILIES = ["quick", "gap-14k", "gap-iter0", "simple-8k", "two-conv-fc12", "stacked-1x1",
            "plain-valid-adam"]  # fmt: skip


@dataclass(frozen=True)
class Exported:
    """A network, what it was before the export, and the file."""

    model: nn.Module
    before: dict[str, Tensor]
    path: Path


def shaken(name: str) -> nn.Module:
    """Return a recipe's network with batch-norm statistics and scales unlike fresh ones."""
    torch.manual_seed(3)
    model = build(resolve(name).recipe.model)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.weight, 1, 0.3)
            nn.init.normal_(module.bias, 0, 0.3)
    return model.to(memory_format=torch.channels_last)


@pytest.fixture(scope="module", params=FAMILIES)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    model = shaken(request.param).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    folder = tmp_path_factory.mktemp(request.param)
    export_onnx(model, folder / "model.onnx", (1, 28, 28), MEAN, STD, METADATA)
    return Exported(model, before, folder / "model.onnx")


def pixels(count: int, shape: tuple[int, ...] = (1, 28, 28)) -> npt.NDArray[np.uint8]:
    generator = np.random.default_rng(count)
    return generator.integers(0, 256, (count, *shape), dtype=np.uint8)


def torch_logits(model: nn.Module, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Evaluate without changing the model's mode for the tests that look at it."""
    was_training = model.training
    model.eval()
    with torch.no_grad():
        x = (torch.from_numpy(images).float() / 255 - MEAN[0]) / STD[0]
        logits: npt.NDArray[np.float32] = model(x).numpy()
    model.train(was_training)
    return logits


@pytest.mark.parametrize("count", [1, 7])
def test_agrees_with_pytorch(exported: Exported, count: int) -> None:
    images = pixels(count)
    session = onnxruntime.InferenceSession(exported.path)
    logits, probabilities = session.run(["logits", "probabilities"], {"image": images})
    expected = torch_logits(exported.model, images)
    assert np.abs(logits - expected).max() <= 1e-4
    assert (logits.argmax(1) == expected.argmax(1)).all()
    assert expected.std() > 0.01  # there was something to get wrong
    softmax = np.exp(expected - expected.max(1, keepdims=True))
    np.testing.assert_allclose(probabilities, softmax / softmax.sum(1, keepdims=True), atol=1e-5)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)


def test_interface(exported: Exported) -> None:
    session = onnxruntime.InferenceSession(exported.path)
    ends = [(end.name, end.type, end.shape) for end in session.get_inputs()]
    assert ends == [("image", "tensor(uint8)", ["batch", 1, 28, 28])]
    ends = [(end.name, end.type, end.shape) for end in session.get_outputs()]
    assert ends == [
        ("logits", "tensor(float)", ["batch", 10]),
        ("probabilities", "tensor(float)", ["batch", 10]),
    ]


def test_file(exported: Exported) -> None:
    proto = onnx.load(exported.path, load_external_data=False)
    onnx.checker.check_model(proto, full_check=True)
    properties = {prop.key: prop.value for prop in proto.metadata_props}
    assert properties.pop("checksum").startswith("kilonet-sha256:")
    assert properties == METADATA
    assert [path.name for path in exported.path.parent.iterdir()] == ["model.onnx"]
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", 18)]
    assert not any(tensor.external_data for tensor in proto.graph.initializer)
    assert all(node.domain == "" for node in proto.graph.node)


def test_file_is_small_and_tells_nothing_of_the_machine(exported: Exported) -> None:
    content = exported.path.read_bytes()
    assert not re.search(rb"\.py|site-packages|/home/|/root/|stack_trace", content)
    assert str(Path(__file__).parents[2]).encode() not in content
    assert len(content) < 4 * count_parameters(exported.model) + 12_000


def test_model_is_left_alone(exported: Exported) -> None:
    model = exported.model
    assert all(module.training for module in model.modules())
    now = model.state_dict()
    assert all(torch.equal(now[key], value) for key, value in exported.before.items())
    assert all(p.device.type == "cpu" and p.requires_grad for p in model.parameters())


def test_colour_images_and_many_classes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = build(resolve("gap-iter0").recipe.model, (3, 32, 20), 47)
    mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    export_onnx(model, tmp_path / "model.onnx", (3, 32, 20), mean, std, {})
    images = pixels(3, (3, 32, 20))
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (logits,) = session.run(["logits"], {"image": images})
    x = torch.from_numpy(images).float() / 255
    x = (x - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    with torch.no_grad():
        np.testing.assert_allclose(logits, model.eval()(x).numpy(), atol=1e-4)


def test_from_pixels() -> None:
    wrapped = FromPixels(nn.Flatten(), (0.5,), (0.25,))
    logits, probabilities = wrapped(torch.tensor([[[[0, 255]]]], dtype=torch.uint8))
    assert logits.tolist() == [[-2.0, 2.0]]
    torch.testing.assert_close(probabilities, torch.softmax(logits, 1))


class Undecided(nn.Module):
    """Decides by the values of its input, which a graph cannot."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            return self.linear(x.flatten(1))
        return self.linear(-x.flatten(1))


def test_a_network_that_cannot_be_exported(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KilonetError, match=r"Undecided cannot be exported to ONNX: \w+: .*forward"):
        export_onnx(Undecided(), tmp_path / "model.onnx", (1, 2, 2), (0.0,), (1.0,), {})
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


def test_says_nothing_and_leaves_logging_and_warnings_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    filters, disabled = list(warnings.filters), logging.root.manager.disable
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    export_onnx(model, tmp_path / "model.onnx", (1, 2, 2), (0.0,), (1.0,), {})
    assert capfd.readouterr() == ("", "")
    assert warnings.filters == filters
    assert logging.root.manager.disable == disabled


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_missing_packages(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=package):
        export_onnx(nn.Flatten(), tmp_path / "model.onnx", (1, 2, 2), (0.0,), (1.0,), {})
    assert not list(tmp_path.iterdir())
