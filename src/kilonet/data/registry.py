"""The registered data sets: their files, checksums, mirrors, classes and statistics.

Sources: EMNIST's MD5 is the one that public loaders use for NIST's archive. The files in it have no
published checksums; their counts, shapes and labels are checked instead, and gzip's CRC-32.
CIFAR-10's MD5 is from its publisher's page, the SHA-256 of its batches from public loaders, its
mean and standard deviation the usual ones of all training pixels. EMNIST's are computed from the
images.
"""

from __future__ import annotations

from kilonet.data.specs import DIGITS, DatasetSpec, FileSpec, idx_files
from kilonet.errors import UsageError, nearest
from kilonet.recipe.schema import MEMORY

_MNIST = DatasetSpec(
    name="mnist",
    title="MNIST",
    train_count=60_000,
    test_count=10_000,
    mean=(0.1307,),
    std=(0.3081,),
    classes=DIGITS,
    licence="CC BY-SA 3.0, Y. LeCun, C. Cortes, C. Burges",
    homepage="https://yann.lecun.com/exdb/mnist/",
    folder="mnist",
    torchvision_folder="MNIST",
    files=idx_files(
        (
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        (
            "d53e105ee54ea40749a09fcbcd1e9432",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        (
            "9fb629c4189551a2d022fa330f9573f3",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        (
            "ec29112dd5afa0611ce80d1b7f02629c",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
)

_FASHION_MNIST = DatasetSpec(
    name="fashion-mnist",
    title="Fashion-MNIST",
    train_count=60_000,
    test_count=10_000,
    mean=(0.2860,),
    std=(0.3530,),
    classes=(
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    licence="MIT, Zalando SE",
    homepage="https://github.com/zalandoresearch/fashion-mnist",
    folder="fashion-mnist",
    preparation="fit",
    torchvision_folder="FashionMNIST",
    files=idx_files(
        (
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        (
            "25c81989df183df01b3e8a0aad5dffbe",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
        (
            "bef4ecab320f06d8554ea6380940ec79",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
        (
            "bb300cfdad3c16e7a12a480ee83cd310",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
)

_KMNIST = DatasetSpec(
    name="kmnist",
    title="Kuzushiji-MNIST",
    train_count=60_000,
    test_count=10_000,
    mean=(0.1918,),
    std=(0.3483,),
    classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    licence="CC BY-SA 4.0, ROIS-DS Center for Open Data in the Humanities",
    homepage="https://github.com/rois-codh/kmnist",
    folder="kmnist",
    preparation="fit",
    torchvision_folder="KMNIST",
    files=idx_files(
        ("bdb82020997e1d708af4cf47b453dcf7", None),
        ("e144d726b3acfaa3e44228e80efcd344", None),
        ("5c965bf0a639b31b8f53240b1b52f4d7", None),
        ("7320c461ea6c1c855c0b718fb2a4b134", None),
    ),
    # The second is a third party's copy, pinned to one commit; the checksums are valid for both.
    mirrors=(
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        "https://huggingface.co/datasets/tanganke/kmnist/resolve/"
        "53810959241e8f35890445245170c8cec0672f81/raw/",
    ),
)

# "Balanced" merges the lower-case letters that look like their capitals (Cohen et al. 2017).
_LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ" + "abdefghnqrt")


def _emnist(
    part: str, title: str, counts: tuple[int, int], classes: tuple[str, ...]
) -> DatasetSpec:
    prefixes = (f"gzip/emnist-{part}-train", f"gzip/emnist-{part}-test")
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
        files=idx_files(*[(None, None)] * 4, prefixes=prefixes),
        mirrors=(
            "https://biometrics.nist.gov/cs_links/EMNIST/",
            "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/",
        ),
        layout="transposed",
        archive=FileSpec("gzip.zip", "58c8d27c78d21e728a6bc7b3cc06412e", None),
    )


_EMNIST_DIGITS = _emnist("digits", "EMNIST Digits", (240_000, 40_000), DIGITS)
_EMNIST_BALANCED = _emnist("balanced", "EMNIST Balanced", (112_800, 18_800), DIGITS + _LETTERS)

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


_CIFAR10 = DatasetSpec(
    name="cifar10",
    title="CIFAR-10",
    train_count=50_000,
    test_count=10_000,
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
    classes=(
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
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

_DIGITS = DatasetSpec(
    name="digits",
    title="Optical digits (scikit-learn)",
    train_count=1_438,
    test_count=359,
    mean=(0.3052,),
    std=(0.3246,),
    classes=DIGITS,
    licence="CC BY 4.0, E. Alpaydin, C. Kaynak",
    homepage="https://doi.org/10.24432/C50P49",
    folder="digits",
)

DATASETS: dict[str, DatasetSpec] = {
    entry.name: entry
    for entry in (
        _MNIST,
        _FASHION_MNIST,
        _KMNIST,
        _EMNIST_DIGITS,
        _EMNIST_BALANCED,
        _CIFAR10,
        _DIGITS,
    )
}


def spec(name: str) -> DatasetSpec:
    """Return the description of the data set ``name``."""
    if name in DATASETS:
        return DATASETS[name]
    if name.startswith(MEMORY):
        raise UsageError(
            "These images were given in Python and are stored nowhere. Give them again: data=..."
        )
    raise UsageError(
        f'There is no data set "{name}".{nearest(name, DATASETS)} '
        f"Known data sets: {', '.join(DATASETS)}; your own pictures are folder:PATH."
    )
