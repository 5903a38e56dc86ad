"""The layer spec of a ``conv-stack`` network, a line such as ``"c16 M d24 r r"``.

============  ==================================================================
cN, cNkKsSv   3×3 convolution to N channels; K×K, stride S, v: unpadded
dN, dNkKsSv   the same, depthwise-separable
dNl, rl, …    d or r without batch norm and activation between depthwise and pointwise convolution
…t            c, d, r: p4 filters; one of every four is stored, the others are rotated by 90°
…g            p4 group convolution: the same, and outputs are orientation channels, in fours
c*, d*, p*    as many channels as classes
pN            1×1 convolution to N channels
r, rkK        residual depthwise-separable 3×3 (K×K, K odd), channels unchanged
R, RkK        residual 3×3 convolution (K×K, K odd), channels unchanged
s             the last residual block again: shared weights, its own batch norms
M, M3         max pooling by 2, by 3
A, A3         average pooling by 2, by 3
============  ==================================================================

The suffixes t and g come last. The first layer with g is a lifting convolution, the others are
regular group convolutions (Cohen and Welling 2016, "Group equivariant convolutional networks").
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal[
    "conv", "separable", "point", "residual-separable", "residual", "shared", "max", "average"
]

_KINDS: dict[str, Kind] = {
    "c": "conv",
    "d": "separable",
    "p": "point",
    "r": "residual-separable",
    "R": "residual",
    "s": "shared",
    "M": "max",
    "A": "average",
}
# At most five digits of channels: a larger network does not fit into memory.
_CHANNELS = r"(?:[1-9]\d{0,4}|\*)"
_CONV = rf"{_CHANNELS}(?:k[1-9]\d?)?(?:s[1-9]\d?)?v?"
_ODD = r"(?:k(?:[13579]|[1-9][13579]))?"
_LAYER = re.compile(
    rf"(?:c{_CONV}[tg]?|d{_CONV}l?[tg]?|p{_CHANNELS}|R{_ODD}|r{_ODD}l?[tg]?|s|[MA][2-9]?)\Z",
    re.ASCII,
)
MAX_LAYERS = 500
ORIENTATIONS = 4
"""The rotations of the group p4: by 0°, 90°, 180° and 270°."""
NUM_CLASSES = -1
"""The ``channels`` of a layer written with ``*``, until the number of classes is known."""
_NUMBER = re.compile(r"([cdpks])(\d+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """One layer of the chain.

    ``channels`` is the number of output channels, 0 if the layer keeps its input's. ``kernel`` is
    the side of the kernel or of the pooling window, ``stride`` that of a convolution. ``linear``
    leaves out batch norm and activation between the two convolutions of a separable layer
    (Chollet 2017). ``p4`` filters are stored once and used in four orientations. With
    ``orientation_channels`` the output is orientation channels of the group p4; with ``regular``
    the input is too, which holds for all layers with g but the one that reads the image.
    """

    kind: Kind
    channels: int = 0
    kernel: int = 3
    stride: int = 1
    padded: bool = True
    linear: bool = False
    p4: bool = False
    orientation_channels: bool = False
    regular: bool = False

    def for_classes(self, number: int) -> LayerSpec:
        """Return the layer with ``number`` output channels in place of ``*``."""
        return replace(self, channels=number) if self.channels == NUM_CLASSES else self

    @property
    def is_pooling(self) -> bool:
        """Whether the layer is a pooling."""
        return self.kind in ("max", "average")

    @property
    def is_residual(self) -> bool:
        """Whether the layer is a residual block, which keeps its input's shape."""
        return self.kind in ("residual", "residual-separable", "shared")

    @property
    def is_convolution(self) -> bool:
        """Whether the layer is a convolution without a skip connection."""
        return self.kind in ("conv", "separable", "point")


def parse_layer(text: str) -> LayerSpec:
    """Return the layer that ``text`` describes, such as ``"d24k5"``."""
    if not _LAYER.match(text):
        raise ValueError(
            f'"{text}" is not a layer; write layers such as c16 (3×3 convolution), c20k5s2, '
            "p12 (1×1), d24 (depthwise-separable), r (residual), s (r again, with the same "
            "weights), d24lg (l: linear between its two convolutions, t or g: p4 filters), "
            "d* (as many channels as classes), M (max pool), A3 (average pool)"
        )
    kind = _KINDS[text[0]]
    if kind in ("max", "average"):
        return LayerSpec(kind, kernel=int(text[1:] or 2))
    numbers = {letter: int(digits) for letter, digits in _NUMBER.findall(text)}
    return LayerSpec(
        kind,
        channels=NUM_CLASSES if "*" in text else numbers.get(text[0], 0),
        kernel=1 if kind == "point" else numbers.get("k", 3),
        stride=numbers.get("s", 1),
        padded="v" not in text,
        linear="l" in text,
        p4=text.endswith(("t", "g")),
        orientation_channels=text.endswith("g"),
    )


def parse_layers(text: str) -> list[LayerSpec]:
    """Return the layers of a chain, which spaces separate."""
    if text.count(" ") >= MAX_LAYERS:
        raise ValueError(f"there are more than {MAX_LAYERS} layers; write fewer")
    layers: list[LayerSpec] = []
    channels = 0  # the image's, which are not known here
    shareable = None  # the channels of the last residual block, whose weights "s" shares
    for part in text.split() or [""]:
        layer = parse_layer(part)
        if layer.kind == "shared" and shareable != channels:
            raise ValueError(
                '"s" repeats the last residual block, and no residual block with the same number '
                "of channels comes before it; write r first"
            )
        out = layer.channels or channels
        if layer.orientation_channels and (channels % ORIENTATIONS or out % ORIENTATIONS):
            raise ValueError(
                f'"{part}" needs orientation channels, a multiple of {ORIENTATIONS}; it has '
                f"{channels} input channels and {_count(out)} output channels. Choose multiples "
                f"of {ORIENTATIONS}, or t instead of g"
            )
        layers.append(replace(layer, regular=layer.orientation_channels and channels > 0))
        shareable = out if layer.is_residual else shareable
        channels = out
    return layers


def _count(channels: int) -> str:
    return "as many as classes" if channels == NUM_CLASSES else str(channels)
