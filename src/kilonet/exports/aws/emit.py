"""The files of a Lambda function: the archive, and a template that deploys it."""

from __future__ import annotations

from importlib.resources import files
from string import Template
from typing import Any

from kilonet.errors import KilonetError
from kilonet.exports.aws.archive import make_archive, unpacked_bytes
from kilonet.exports.aws.platform import Platform

MOST_ZIPPED, MOST_UNPACKED = 50_000_000, 250_000_000


def function_files(model: Any, name: str, here: Platform) -> dict[str, bytes]:
    """Return the files by name, for an ``onnx.ModelProto`` of uint8 "image" N×C×H×W.

    Raises:
        KilonetError: the network reads no pictures, or the archive is too large.
    """
    shape = tuple(side.dim_value for side in model.graph.input[0].type.tensor_type.shape.dim[1:])
    if shape[0] not in (1, 3):
        raise KilonetError(
            f"{name} reads images of {'×'.join(map(str, shape))}, and the target lambda reads "
            "pictures, of one channel or three. Export it to another target."
        )
    archive = make_archive(model.SerializeToString())
    if len(archive) > MOST_ZIPPED or unpacked_bytes(archive) > MOST_UNPACKED:
        raise KilonetError(
            f"The archive has {len(archive):,} bytes, {unpacked_bytes(archive):,} unpacked; Lambda "
            f"takes {MOST_ZIPPED:,} and {MOST_UNPACKED:,}. Export with other versions of "
            "onnxruntime, numpy and pillow."
        )
    names = {"archive": f"{name}-lambda.zip", "template": f"{name}-lambda.yaml"}
    words = {"title": name, "runtime": here.runtime, "architecture": here.architecture, **names}
    text = (files("kilonet.exports.aws") / "template.yaml").read_text(encoding="utf-8")
    return {
        names["archive"]: archive,
        names["template"]: Template(text).substitute(words).encode("utf-8"),
    }
