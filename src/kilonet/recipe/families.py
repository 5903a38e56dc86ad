"""The base class of recipe sections, and the ``[model]`` section: one class per network family.

``kilonet.models`` maps each family to the module that implements it. A name with a colon
(``package.module:Class``) is the user's own network.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from kilonet.recipe.layer_spec import parse_layers

Fraction = Annotated[float, Field(ge=0, le=1)]
Probability = Annotated[float, Field(ge=0, lt=1)]
# The upper limits are far beyond useful values and keep results representable in float32 and int32.
Positive = Annotated[float, Field(gt=0, le=1e6)]
NonNegative = Annotated[float, Field(ge=0, le=1e6)]
Count = Annotated[int, Field(ge=1, le=10**9)]


class Section(BaseModel):
    """A section of a recipe: strict types, no unknown keys, immutable.

    Users read each field's description in ``--help``, error messages and the reference.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class TwoConvConfig(Section):
    """Two 3×3 convolutions with batch norm and pooling, then two fully connected layers."""

    name: Literal["two-conv"] = Field(description="The network family.")
    hidden: Annotated[int, Field(ge=1, le=99_999)] = Field(
        64, description="Width of the hidden fully connected layer."
    )
    dropout: Probability = Field(0.25, description="Dropout before the last layer.")
    poolings: Literal[2, 3] = Field(
        2, description="Max poolings by 2: one after each convolution, the third after both."
    )


class ConvStackConfig(Section):
    """A sequence of convolution blocks and poolings, written as a layer spec."""

    name: Literal["conv-stack"] = Field(description="The network family.")
    layers: str = Field(
        description=(
            "The layers, separated by spaces. cN: 3×3 convolution to N channels (cNkKsS: kernel K, "
            "stride S; v at the end: unpadded). dN: the same, depthwise-separable. pN: 1×1 "
            "convolution. r: residual depthwise-separable block. R: residual 3×3 convolution (rk5: "
            "kernel 5). s: the last residual block again, with shared weights. M, A: max and "
            "average pooling by 2 (M3: by 3). d*: as many channels as classes. l after d or r: "
            "neither batch norm nor activation between the two convolutions. At the end of c, d "
            "or r: t, p4 filters, one of every four is stored and used in four orientations; or "
            "g, p4 group convolution with orientation channels."
        )
    )
    head: Literal["gap", "fc", "maps"] = Field(
        "gap",
        description='"gap": global average pooling, then a linear map; "fc": linear on all values; '
        '"maps": the averages of the last channels, one per class.',
    )
    batch_norm: bool = Field(True, description="Batch norm after every convolution.")
    norm_scale: Positive | None = Field(
        None, description="A fixed scale for batch norm; off: one learned scale per channel."
    )
    dropout: Probability = Field(0.0, description="Dropout after every convolution block.")
    bias: bool = Field(False, description="Whether the convolutions have a bias.")
    head_bias: bool = Field(True, description="Whether the classifier has a bias.")
    activation: Literal["relu", "silu"] = Field("relu", description="The activation function.")
    pool_first: bool = Field(
        False, description="Pool before batch norm and activation, which then process fewer values."
    )

    @field_validator("layers")
    @classmethod
    def _known_words(cls, layers: str) -> str:
        parse_layers(layers)
        return layers


class Stacked1x1Config(Section):
    """3×3 convolutions with 1×1 convolutions between them."""

    name: Literal["stacked-1x1"] = Field(description="The network family.")
    batch_norm: bool = Field(False, description="Batch norm after every 3×3 convolution.")
    dropout: Probability = Field(0.0, description="Dropout after each of the four blocks.")


class PlainValidConfig(Section):
    """Unpadded convolutions, each followed by ReLU, and one linear layer."""

    name: Literal["plain-valid"] = Field(description="The network family.")


class SimpleConfig(Section):
    """SimpleMNISTNet: residual blocks, both poolings, a 1×1 classifier, under 8,000 parameters."""

    name: Literal["simple"] = Field(description="The network family.")
    dropout: Probability = Field(0.05, description="Dropout after each block.")
    activation: Literal["relu", "silu"] = Field("relu", description="The activation function.")


class CustomConfig(Section):
    """The user's own network: an ``nn.Module`` class, called with the section's other keys."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    name: str = Field(
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$",
        description="Your own network as package.module:Class; other keys are its arguments.",
    )

    @model_validator(mode="after")
    def _arguments_without_dates(self) -> Self:
        """Refuse dates and times: a run's files are JSON too, which has none."""
        for key, value in (self.model_extra or {}).items():
            if not _is_plain(value):
                raise ValueError(f"{key} = {value} holds a date or a time; write it as text")
        return self


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return isinstance(value, str | int | float)


def _family(value: Any) -> str:
    name = value.get("name") if isinstance(value, dict) else getattr(value, "name", None)
    return "custom" if isinstance(name, str) and ":" in name else str(name)


def by_name(*sections: type[Section]) -> dict[str, type[Section]]:
    """Return ``sections`` by the value that their key ``name`` must have."""
    return {get_args(cls.model_fields["name"].annotation)[0]: cls for cls in sections}


FAMILIES = by_name(TwoConvConfig, ConvStackConfig, Stacked1x1Config, PlainValidConfig, SimpleConfig)

Model = Annotated[
    Annotated[TwoConvConfig, Tag("two-conv")]
    | Annotated[ConvStackConfig, Tag("conv-stack")]
    | Annotated[Stacked1x1Config, Tag("stacked-1x1")]
    | Annotated[PlainValidConfig, Tag("plain-valid")]
    | Annotated[SimpleConfig, Tag("simple")]
    | Annotated[CustomConfig, Tag("custom")],
    Discriminator(_family),
]
