"""The files of an AWS Lambda function: one archive with everything it needs, and its template.

Lambda takes archives of up to 50 MB directly, and up to 250 MB unpacked (AWS, "Lambda quotas").
Compiled packages fit one system, processor and Python version, so the archive does too.
"""

from __future__ import annotations

import io
import platform
import re
import shlex
import sys
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from importlib.resources.abc import Traversable
from string import Template
from typing import Any

from kilonet.errors import KilonetError
from kilonet.exports.onnx_graph import serialised
from kilonet.text import printable, yaml

MAX_ZIPPED, MAX_UNPACKED = 50_000_000, 250_000_000

DISTRIBUTIONS = ("onnxruntime", "numpy", "pillow")

OWN = ("__init__.py", "content.py", "errors.py", "metadata.py")
OWN_PACKAGES = ("preprocessing", "inference")
"""The parts of this package that prepare and classify pictures."""

EXCLUDED = re.compile(
    r"""
    (^|/)(__pycache__|tests?|include)/ | \.(pyi|h|a|c|pxd|pyx|lib)$   # for development
    | ^\.\. | ^/                                                      # command-line programs
    | ^numpy/(f2py|testing|distutils)/
    | ^onnxruntime/(tools|transformers|quantization|datasets|backend)/
    | ^onnxruntime/capi/libonnxruntime\.so                            # the C library
    | ^PIL/_(avif|imagingcms|imagingft|imagingtk)\.                   # AVIF, colours, fonts, Tk
    | ^pillow\.libs/lib(avif|freetype|harfbuzz|lcms2)-
    """,
    re.VERBOSE,
)
KEPT_METADATA = re.compile(r"\.dist-info/(METADATA$|(licen[cs]es?/|LICEN[CS]E))", re.IGNORECASE)
FIRST_DATE = (1980, 1, 1, 0, 0, 0)  # equal contents give equal archives

Version = tuple[int, int]

AMAZON_LINUX_2: Version = (2, 26)
AMAZON_LINUX_2023: Version = (2, 34)
"""The glibc of Lambda's Python runtimes, up to 3.11 and from 3.12 (AWS, "Lambda runtimes")."""

ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
TAG = re.compile(r"^Tag: .*manylinux_(\d+)_(\d+)_", re.MULTILINE)


@dataclass(frozen=True)
class Platform:
    """The system, processor and Python version that compiled packages are built for."""

    system: str
    architecture: str
    python: Version

    @property
    def runtime(self) -> str:
        """Lambda's name of the runtime."""
        return f"python{self.python[0]}.{self.python[1]}"

    def __str__(self) -> str:
        return f"{self.system} {self.architecture}, Python {self.python[0]}.{self.python[1]}"


def this_platform() -> Platform:
    """Return the platform of the running interpreter."""
    machine = platform.machine().lower()
    architecture = ARCHITECTURES.get(machine, machine)
    return Platform(platform.system(), architecture, sys.version_info[:2])


def function_files(model: Any, name: str, here: Platform) -> dict[str, bytes]:
    """Return the content of each file by name: the archive first, then the template.

    ``model`` is an ``onnx.ModelProto`` with a uint8 input "image" N×C×H×W.

    Raises:
        KilonetError: the network has another number of channels than pictures have, or the
            archive is too large.
    """
    shape = tuple(side.dim_value for side in model.graph.input[0].type.tensor_type.shape.dim[1:])
    if shape[0] not in (1, 3):
        raise KilonetError(
            f"{name} takes images of {'×'.join(map(str, shape))}, and the target lambda takes "
            "pictures, with one channel or three. Export it to another target."
        )
    archive = make_archive(serialised(model))
    _require_fit(archive)
    names = {"archive": f"{name}-lambda.zip", "template": f"{name}-lambda.yaml"}
    values = {
        "name": yaml(name),
        "archive": yaml(names["archive"]),
        "command": " ".join(printable(shlex.quote(names["template"])).split()),
        "runtime": here.runtime,
        "architecture": here.architecture,
    }
    template = (files("kilonet.exports.aws") / "template.yaml").read_text(encoding="utf-8")
    return {
        names["archive"]: archive,
        names["template"]: Template(template).substitute(values).encode("utf-8", "replace"),
    }


def _require_fit(archive: bytes) -> None:
    if len(archive) > MAX_ZIPPED or unpacked_bytes(archive) > MAX_UNPACKED:
        raise KilonetError(
            f"The archive has {len(archive):,} bytes, {unpacked_bytes(archive):,} unpacked; Lambda "
            f"takes {MAX_ZIPPED:,} and {MAX_UNPACKED:,}. Export with other versions of "
            "onnxruntime, numpy and pillow."
        )


def make_archive(model: bytes) -> bytes:
    """Return the zip file of the function that classifies pictures with the ONNX file ``model``.

    Raises:
        KilonetError: a package that it needs has no list of files, which pip writes.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(_contents(model)):
            entry = zipfile.ZipInfo(name, FIRST_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def unpacked_bytes(archive: bytes) -> int:
    """Return the size of an archive's content in bytes."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return sum(entry.file_size for entry in opened.infolist())


def _contents(model: bytes) -> Iterator[tuple[str, bytes]]:
    yield "model.onnx", model
    handler = files("kilonet.exports.aws") / "function" / "handler.py"
    yield "handler.py", handler.read_bytes()
    yield from _own()
    for name in DISTRIBUTIONS:
        yield from _installed(name)


def _own() -> Iterator[tuple[str, bytes]]:
    root = files("kilonet")
    for name in OWN:
        yield f"kilonet/{name}", root.joinpath(*name.split("/")).read_bytes()
    for package in OWN_PACKAGES:
        yield from _modules(root / package, f"kilonet/{package}")


def _modules(folder: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.name.endswith((".py", ".onnx")):
            yield f"{name}/{entry.name}", entry.read_bytes()


def _installed(name: str) -> Iterator[tuple[str, bytes]]:
    try:
        paths = distribution(name).files
        if not paths:
            raise PackageNotFoundError(name)
        yield from ((str(path), path.read_binary()) for path in paths if _is_needed(str(path)))
    except (PackageNotFoundError, OSError):
        raise KilonetError(
            f'The archive needs the package "{name}", whose list of files is missing or wrong. '
            f"Install it with pip: pip install --force-reinstall {name}"
        ) from None


def _is_needed(path: str) -> bool:
    """Return whether the function may need a package's file, or its licence requires it."""
    if ".dist-info/" in path:
        return bool(KEPT_METADATA.search(path))
    return not EXCLUDED.search(path)


def required_glibc() -> Version:
    """Return the oldest glibc that all compiled packages of the archive work with."""
    texts = (distribution(name).read_text("WHEEL") or "" for name in DISTRIBUTIONS)
    return glibc_of_wheels(texts)


def glibc_of_wheels(texts: Iterable[str]) -> Version:
    """Return the glibc that all wheels need, from their WHEEL files: the lowest tag of each."""
    versions = [
        min((int(major), int(minor)) for major, minor in TAG.findall(text))
        for text in texts
        if TAG.search(text)
    ]
    return max(versions, default=(2, 17))  # PEP 600: manylinux2014


def remark(here: Platform, required: Version) -> str:
    """Return where an archive made on ``here`` runs, if its packages require that glibc."""
    text = f"the archive is for {here}, as the packages here are"
    if here.system != "Linux":
        return f"{text}: it will not run on Lambda, which is Linux. Export on Linux"
    available = AMAZON_LINUX_2 if here.python < (3, 12) else AMAZON_LINUX_2023
    if required > available:
        return (
            f"{text}: it will not run on Lambda's {here.runtime}, whose C library is glibc "
            f"{_dotted(available)}, while a package needs {_dotted(required)}. "
            "Export with Python 3.12 or later"
        )
    return f"{text}: Lambda's runtime {here.runtime}"


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))
