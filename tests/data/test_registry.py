from __future__ import annotations

import hashlib
import re
import string
import subprocess
import sys
from pathlib import Path

import pytest

from kilonet.data.dataset import load_dataset
from kilonet.data.registry import DATASETS, spec
from kilonet.data.specs import DatasetSpec
from kilonet.errors import UsageError

PUBLISHED = [entry for entry in DATASETS.values() if entry.files]
GREY = ["mnist", "fashion-mnist", "kmnist", "emnist-digits", "emnist-balanced"]


def test_registered_sets() -> None:
    assert list(DATASETS) == [*GREY, "cifar10", "digits"]
    assert all(spec(name).name == name for name in DATASETS)


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match=r'"fashion_mnist".*Did you mean "fashion-mnist"\?'):
        spec("fashion_mnist")


@pytest.mark.parametrize("entry", DATASETS.values(), ids=lambda entry: entry.name)
def test_every_entry_is_complete(entry: DatasetSpec) -> None:
    expected = 47 if entry.name == "emnist-balanced" else 10
    assert len(entry.classes) == len(set(entry.classes)) == expected
    for moments in (entry.mean, entry.std):
        assert moments is None or len(moments) == entry.shape[0]
    assert entry.title and entry.licence and entry.homepage.startswith("https://")


@pytest.mark.parametrize("entry", PUBLISHED, ids=lambda entry: entry.name)
def test_published_sets_have_files_checksums_and_two_mirrors(entry: DatasetSpec) -> None:
    checksums = [file.md5 or "" for file in entry.downloads]
    assert len(set(checksums)) == len(checksums) == (1 if entry.archive else 4)
    assert all(re.fullmatch("[0-9a-f]{32}", md5) for md5 in checksums)
    assert len(set(entry.mirrors)) >= 2
    assert all(re.fullmatch(r"https?://\S+/", mirror) for mirror in entry.mirrors)


def test_balanced_emnist_has_the_letters_whose_two_cases_differ() -> None:
    letters = DATASETS["emnist-balanced"].classes[10:]
    merged = set("cijklmopsuvwxyz")
    assert letters == (*string.ascii_uppercase, *sorted(set(string.ascii_lowercase) - merged))


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_checksums_of_the_decompressed_bytes_are_known(name: str) -> None:
    digests = [file.sha256 for file in DATASETS[name].files.values()]
    assert all(digest and re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)


@pytest.mark.mnist("mnist", "fashion-mnist")
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_md5_of_the_published_files(name: str, mnist_dir: Path) -> None:
    for file in DATASETS[name].files.values():
        content = (mnist_dir / name / file.filename).read_bytes()
        assert hashlib.md5(content).hexdigest() == file.md5


@pytest.mark.mnist("mnist", "fashion-mnist")
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_mean_and_std_of_the_training_images(name: str, mnist_dir: Path) -> None:
    _check_moments(name, mnist_dir)


def test_mean_and_std_of_digits() -> None:
    _check_moments("digits", None)


def _check_moments(name: str, data_dir: Path | None) -> None:
    pixels = load_dataset(name, data_dir, download=False).train_images.double() / 255
    assert DATASETS[name].mean == (round(pixels.mean().item(), 4),)
    assert DATASETS[name].std == (round(pixels.std(correction=0).item(), 4),)


def test_listing_needs_no_torch() -> None:
    code = "import sys, kilonet.data.locate; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
