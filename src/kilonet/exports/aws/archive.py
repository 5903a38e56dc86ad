"""The archive of a Lambda function: a model, a handler, and what they need of this environment.

Lambda takes archives of up to 50 MB directly, and 250 MB of what is in them (AWS, "Lambda quotas").
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from importlib.resources.abc import Traversable

from kilonet.errors import KilonetError

DISTRIBUTIONS = ("onnxruntime", "numpy", "pillow", "platformdirs")

OWN = (
    "__init__.py",
    "errors.py",
    "metadata.py",
    "files.py",
    "runs/__init__.py",
    "runs/layout.py",
)
OWN_PACKAGES = ("preprocessing", "inference")
"""The part of this package that prepares pictures and reads them, without the rest."""

LEFT_OUT = re.compile(
    r"""
    (^|/)(__pycache__|tests?|include)/ | \.(pyi|h|a|c|pxd|pyx|lib)$   # for who develops with them
    | ^\.\. | ^/                                                      # command-line programs
    | ^numpy/(f2py|testing|distutils)/
    | ^onnxruntime/(tools|transformers|quantization|datasets|backend)/
    | ^onnxruntime/capi/libonnxruntime\.so                            # for C; Python's has its own
    | ^PIL/_(avif|imagingcms|imagingft|imagingtk)\.                   # AVIF, colours, fonts, Tk
    | ^pillow\.libs/lib(avif|freetype|harfbuzz|lcms2)-
    """,
    re.VERBOSE,
)
KEPT_OF_INFO = re.compile(r"\.dist-info/(METADATA$|(licen[cs]es?/|LICEN[CS]E))", re.IGNORECASE)
FIRST_MOMENT = (1980, 1, 1, 0, 0, 0)  # so that equal contents are equal archives


def make_archive(model: bytes) -> bytes:
    """Return the zip file of the function that reads pictures with the ONNX file ``model``.

    Raises:
        KilonetError: a package that it needs is not installed as pip does it.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(_contents(model)):
            entry = zipfile.ZipInfo(name, FIRST_MOMENT)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def unpacked_bytes(archive: bytes) -> int:
    """Return how large what is in an archive is, which Lambda limits too."""
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
        if entry.name.endswith(".py"):
            yield f"{name}/{entry.name}", entry.read_bytes()


def _installed(name: str) -> Iterator[tuple[str, bytes]]:
    try:
        found = distribution(name).files
        if not found:
            raise PackageNotFoundError(name)
        yield from ((str(entry), entry.read_binary()) for entry in found if _is_kept(str(entry)))
    except (PackageNotFoundError, OSError):
        raise KilonetError(
            f'The archive takes in "{name}", of which this environment has no whole list of files. '
            f"Install it with pip: pip install --force-reinstall {name}"
        ) from None


def _is_kept(path: str) -> bool:
    """Say whether the function may need a file of a package, or its licence demands it."""
    if ".dist-info/" in path:
        return bool(KEPT_OF_INFO.search(path))
    return not LEFT_OUT.search(path)
