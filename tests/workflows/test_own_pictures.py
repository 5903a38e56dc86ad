"""A model of one's own pictures, from the folder to every form that it is used in."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kilonet
from kilonet.cli.app import run as command
from kilonet.data.read_folder import read_folder
from kilonet.data.specs import ImageFormat
from kilonet.errors import DataError, KilonetError, UsageError
from kilonet.exports.graph.lower import lower
from kilonet.exports.html.document import page
from kilonet.preprocessing import letterbox
from kilonet.serve.messages import Refusal, RequestPicture
from kilonet.serve.worker import predict
from kilonet.workflows.evaluate import evaluate
from kilonet.workflows.export import export
from kilonet.workflows.runs import Run
from picture_folders import COLOURS, write_pictures

CLASSES = tuple(sorted(COLOURS))
WORDS = (
    "data.side=16",
    "data.validation=0.2",
    "model.layers=c6 M c8",
    "model.head=gap",
    "training.epochs=8",
    "training.batch_size=8",
    "training.threads=1",
    "optimizer.lr=0.02",
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("own") / "pictures", 15)


@pytest.fixture(scope="module")
def trained(pictures: Path) -> Run:
    """A run on the pictures, trained by the command line."""
    path = pictures.parent / "run"
    words = ["train", "quick", f"data.name=folder:{pictures}", *WORDS, "--out", str(path)]
    with contextlib.redirect_stdout(io.StringIO()):
        assert command(words) == 0
    return kilonet.workflows.runs.find_run(path)


def test_the_run_knows_its_classes_without_the_folder(trained: Run, pictures: Path) -> None:
    traits = trained.data_info
    assert (traits.classes, traits.shape) == (CLASSES, (3, 16, 16))
    assert traits.fingerprint == read_folder(pictures, ImageFormat()).fingerprint
    assert trained.recipe.data.name == f"folder:{pictures}"
    assert trained.directory.metrics()["dataset"] == "folder:pictures"
    assert trained.test.accuracy > 0.8
    hidden = pictures.rename(pictures.with_name("elsewhere"))
    try:
        assert kilonet.load(trained).training is False
        assert "pictures" not in kilonet.summary(trained)
        assert "is not there any more" in (export(trained, "c").note or "")
    finally:
        hidden.rename(pictures)


def test_it_reads_pictures_with_their_names(trained: Run, pictures: Path) -> None:
    reader = kilonet.reader(trained.path)
    assert reader.classes == CLASSES
    files = sorted(pictures.glob("*/*"))
    right = [reader.predict(file).digit == file.parent.name for file in files]
    assert np.mean(right) > 0.8
    with pytest.raises(UsageError, match="classifies whole pictures"):
        reader.read_all(files[0])


def test_onnx_agrees_and_has_the_names(trained: Run, tmp_path: Path) -> None:
    made = export(trained, "onnx", out=tmp_path)
    assert made.verification is not None
    assert made.verification.images == 9
    assert made.verification.same_labels == 9
    assert kilonet.reader(made.files[0]).classes == CLASSES
    int8 = export(trained, "onnx", int8=True, out=tmp_path)
    assert int8.verification is not None
    assert int8.verification.same_labels == 9


def test_c_agrees_and_has_the_names(trained: Run, tmp_path: Path) -> None:
    made = export(trained, "c", out=tmp_path)
    assert made.verification is None or made.verification.same_labels == 9
    assert '"red, dark"' in made.files[1].read_text(encoding="utf-8")
    with pytest.raises(KilonetError, match=r"takes images of one channel.* without --int8"):
        export(trained, "c", int8=True, out=tmp_path)


def test_the_page_scales_pictures_and_has_the_names(trained: Run, tmp_path: Path) -> None:
    graph = lower(trained.path / "model.onnx")
    text = page(graph, "own")
    assert "Drop, paste or open a picture" in text and "16×16 colour pixels" in text
    assert '"prepared":false' in text and '"blue & sky"' in text


def test_the_service_reads_files_and_refuses_pixels(trained: Run, pictures: Path) -> None:
    from kilonet.inference.model import Classification, OnnxSession

    session = OnnxSession(trained.path / "model.onnx")
    content = (pictures / "green" / "00.png").read_bytes()
    found, refusal = predict(
        session, [RequestPicture("file", content), RequestPicture("pixels", bytes(784))], 10**6
    )
    assert isinstance(found, Classification)
    assert CLASSES[int(np.argmax(found.probabilities))] == "green"
    assert isinstance(refusal, Refusal)
    assert "1×28×28; this one takes 3×16×16" in refusal.message


def test_another_content_is_noticed(trained: Run, pictures: Path, tmp_path: Path) -> None:
    extra = pictures / "green" / "extra.png"
    Image.new("RGB", (20, 20), (20, 200, 20)).save(extra)
    try:
        with pytest.raises(
            DataError, match=r"are not those that .* was trained on.* --data folder:"
        ):
            evaluate(trained)
        assert evaluate(trained, data=f"folder:{pictures}").total == 9
    finally:
        extra.unlink()
    assert evaluate(trained).total == 9
    with pytest.raises(UsageError, match="was trained on the pictures in pictures"):
        evaluate(trained, data="digits")
    with pytest.raises(UsageError, match="takes images of 3×16×16"):
        kilonet.robustness(trained)


def test_grey_pictures_of_28_pixels_are_not_taken_for_ink(pictures: Path, tmp_path: Path) -> None:
    """Its network has MNIST's shape, but pictures are scaled for it, not framed."""
    words = [*WORDS, "training.epochs=1", "data.side=28", "data.colour=false"]
    run = kilonet.train(
        "quick", overrides=[f"data.name=folder:{pictures}", *words], out=tmp_path / "g"
    )
    session = kilonet.reader(run.path)._session
    assert session.shape == (1, 28, 28) and not session.prepares_digits
    file = pictures / "green" / "01.jpg"
    assert np.array_equal(session.prepare(file), letterbox(file, (1, 28, 28)))


def test_side_and_colour_are_for_folders() -> None:
    with pytest.raises(UsageError, match=r"\[data\] side is for a folder of pictures"):
        kilonet.train("quick", overrides=["data.side=20"])
