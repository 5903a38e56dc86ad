"""IDX files: reading them, and errors."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from idx_files import idx_bytes

from kilonet.data.formats import idx_header, read_idx_images, read_idx_labels
from kilonet.errors import DataError

IMAGES = np.arange(3 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(3, 28, 28)
LABELS = np.array([3, 0, 9, 1], dtype=np.uint8)


def write(content: bytes, folder: Path, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@settings(max_examples=50, deadline=None)
@given(count=st.integers(1, 5), seed=st.integers(0, 2**32 - 1), packed=st.booleans())
def test_round_trip(count: int, seed: int, packed: bool) -> None:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
    labels = rng.integers(0, 10, count, dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        pack = gzip.compress if packed else bytes
        read_images = read_idx_images(write(pack(idx_bytes(images)), Path(folder), "images"))
        read_labels = read_idx_labels(write(pack(idx_bytes(labels)), Path(folder), "labels"))
    assert read_images.dtype == read_labels.dtype == np.uint8
    np.testing.assert_array_equal(read_images, images)
    np.testing.assert_array_equal(read_labels, labels)


GOOD_IMAGES, GOOD_LABELS = idx_bytes(IMAGES), idx_bytes(LABELS)


def mutilated(good: bytes) -> st.SearchStrategy[bytes]:
    """Valid files with a piece replaced: they get past the first checks, as noise never does."""
    piece = st.tuples(st.integers(0, len(good)), st.integers(0, 24), st.binary(max_size=24))
    return piece.map(lambda p: good[: p[0]] + p[2] + good[p[0] + p[1] :])


CONTENT = st.one_of(
    st.binary(max_size=64),
    mutilated(GOOD_LABELS),
    mutilated(GOOD_IMAGES),
    mutilated(gzip.compress(GOOD_LABELS, mtime=0)),
    mutilated(gzip.compress(GOOD_IMAGES, mtime=0)),
)


@settings(max_examples=300, deadline=None)
@given(content=CONTENT)
@example(b"")
@example(b"\x1f\x8b")
@example(b"\x00\x00\x08\x01\xff\xff\xff\xff")
@example(b"\x00\x00\x08\x03" + b"\xff" * 12)
@example(GOOD_LABELS + b"\x00")
def test_any_bytes_are_read_or_refused_with_one_message(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(content, Path(folder))
        for read, dimensions in ((read_idx_images, 3), (read_idx_labels, 1)):
            try:
                values = read(path)
            except DataError as error:
                assert str(path) in str(error) and "\n" not in str(error)
            else:
                assert values.ndim == dimensions and len(values) >= 1
                plain = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
                assert idx_bytes(values) == plain


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "begins with nothing; expected IDX images"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "begins with 89 50 4e 47"),
        (GOOD_LABELS, "holds labels; expected IDX images"),
        (GOOD_IMAGES[:3] + b"\x04" + GOOD_IMAGES[4:], "holds an array of 4 dimensions"),
        (GOOD_IMAGES[:2] + b"\x0d" + GOOD_IMAGES[3:], "expected IDX images"),
        (GOOD_IMAGES[:10], "ends within its header"),
        (GOOD_IMAGES[:-1], "announces 2,352 bytes of values; it has only 2,351"),
        (GOOD_IMAGES + b"\x00", "announces 2,352 bytes of values; it has more"),
        (idx_bytes(np.zeros((2, 32, 28), np.uint8)), "32×28 pixels; expected 28×28"),
        (idx_bytes(np.zeros((0, 28, 28), np.uint8)), r"shape \(0, 28, 28\)"),
        (gzip.compress(GOOD_IMAGES, mtime=0)[:-9], "does not decompress"),
        (gzip.compress(GOOD_IMAGES, mtime=0)[:40] + bytes(40), "does not decompress"),
    ],
)
def test_damaged_images_are_named_and_explained(content: bytes, says: str, tmp_path: Path) -> None:
    path = write(content, tmp_path, "train-images-idx3-ubyte")
    with pytest.raises(DataError, match=says) as caught:
        read_idx_images(path)
    assert str(path) in str(caught.value) and "--data-dir" in str(caught.value)


def test_labels_outside_the_classes_are_refused(tmp_path: Path) -> None:
    path = write(idx_bytes(np.array([1, 12, 3], np.uint8)), tmp_path)
    assert read_idx_labels(path, classes=13).tolist() == [1, 12, 3]
    with pytest.raises(DataError, match="holds the label 12; expected 0 to 9"):
        read_idx_labels(path)


def test_images_instead_of_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds images; expected IDX labels"):
        read_idx_labels(write(GOOD_IMAGES, tmp_path))


@pytest.mark.parametrize("make", [lambda path: None, Path.mkdir], ids=["missing", "a folder"])
def test_unreadable_files_are_named(make: object, tmp_path: Path) -> None:
    path = tmp_path / "labels.gz"
    make(path)  # type: ignore[operator]
    with pytest.raises(DataError, match=r"labels\.gz cannot be read"):
        read_idx_labels(path)


def test_compression_is_recognised_by_content(tmp_path: Path) -> None:
    assert read_idx_labels(write(GOOD_LABELS, tmp_path, "labels.gz")).tolist() == LABELS.tolist()
    packed = write(gzip.compress(GOOD_LABELS), tmp_path, "labels")
    assert read_idx_labels(packed).tolist() == LABELS.tolist()


def test_a_decompression_bomb_is_read_only_to_the_length_in_its_header(tmp_path: Path) -> None:
    path = write(gzip.compress(GOOD_LABELS + bytes(50_000_000), 1), tmp_path)
    with pytest.raises(DataError, match="it has more"):
        read_idx_labels(path)


def test_the_header_follows_the_format() -> None:
    assert idx_header((60_000, 28, 28)).hex() == "00000803" + "0000ea60" + "0000001c" * 2


@pytest.mark.mnist
def test_reads_mnist_itself(mnist_dir: Path) -> None:
    folder = mnist_dir / "mnist"
    images = read_idx_images(folder / "t10k-images-idx3-ubyte.gz")
    labels = read_idx_labels(folder / "t10k-labels-idx1-ubyte.gz")
    assert images.shape == (10_000, 28, 28) and labels.shape == (10_000,)
    assert labels[:5].tolist() == [7, 2, 1, 0, 4]  # the best-known five digits of the field
    assert images[0].max() > 200 and not images[:, 0].any(axis=1).all()
