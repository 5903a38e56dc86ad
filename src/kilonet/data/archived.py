"""What is known about the data sets that are published as one archive: EMNIST and CIFAR-10.

Where the figures come from: EMNIST's MD5 is the one that public loaders hold NIST's archive
against; its members have no published checksums, so their counts, shapes and labels are checked
instead, and gzip's own CRC-32. CIFAR-10's MD5 is on its publisher's page; the SHA-256 of its
batches are those of public loaders. CIFAR-10's mean and standard deviation are the usual ones, of
all training pixels; EMNIST's are computed when it is read.
"""

from __future__ import annotations

from kilonet.data.specs import (
    DIGITS,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    DatasetSpec,
    FileSpec,
    idx_files,
)

# "Balanced" merges the lower-case letters that look like their capitals (Cohen et al. 2017).
_LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ" + "abdefghnqrt")


def _emnist(
    part: str, title: str, counts: tuple[int, int], classes: tuple[str, ...]
) -> DatasetSpec:
    begins = (f"gzip/emnist-{part}-train", f"gzip/emnist-{part}-test")
    roles = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
    return DatasetSpec(
        name=f"emnist-{part}",
        title=title,
        train_count=counts[0],
        test_count=counts[1],
        mean=None,
        std=None,
        classes=classes,
        licence="none stated; from NIST Special Database 19, G. Cohen et al. 2017",
        homepage="https://www.nist.gov/itl/products-and-services/emnist-dataset",
        folder="emnist",
        torchvision_folder="EMNIST",
        files=idx_files(dict.fromkeys(roles, (None, None)), begins),
        mirrors=(
            "https://biometrics.nist.gov/cs_links/EMNIST/",
            "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/",
        ),
        layout="transposed",
        archive=FileSpec("gzip.zip", "58c8d27c78d21e728a6bc7b3cc06412e", None),
    )


EMNIST_DIGITS = _emnist("digits", "EMNIST Digits", (240_000, 40_000), DIGITS)
EMNIST_BALANCED = _emnist("balanced", "EMNIST Balanced", (112_800, 18_800), DIGITS + _LETTERS)

_BATCHES = {
    "train_1": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "train_2": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "train_3": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "train_4": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "train_5": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}


def _batch(role: str) -> str:
    name = role.replace("train", "data_batch").replace("test", "test_batch")
    return f"cifar-10-batches-bin/{name}.bin"


CIFAR10 = DatasetSpec(
    name="cifar10",
    title="CIFAR-10",
    train_count=50_000,
    test_count=10_000,
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
    classes=(
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ),
    licence="none stated; A. Krizhevsky 2009, who asks to be cited",
    homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
    folder="cifar10",
    files={role: FileSpec(_batch(role), None, digest) for role, digest in _BATCHES.items()},
    mirrors=(
        "https://www.cs.toronto.edu/~kriz/",
        "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/",
    ),
    shape=(3, 32, 32),
    layout="cifar",
    archive=FileSpec("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530", None),
    preparation="fit",
)
