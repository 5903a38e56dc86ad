"""The ``[model]`` section: one class a network family, with the arguments that it takes.

``kilonet.models`` maps each family to the module that implements it. A name with a colon
(``package.module:Class``) is a network of the user's own.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from kilonet.recipe.layer_spec import parse_layers
from kilonet.recipe.section import Positive, Probability, Section


class TwoConvConfig(Section):
    """Two 3×3 convolutions with batch norm and pooling, then two fully connected layers."""

    name: Literal["two-conv"] = Field(description="The network family.")
    hidden: Annotated[int, Field(ge=1, le=99_999)] = Field(
        64, description="Width of the hidden fully connected layer."
    )
    dropout: Probability = Field(0.25, description="Dropout before the last layer.")


class ConvStackConfig(Section):
    """A chain of convolution blocks and poolings, written as a line of short words."""

    name: Literal["conv-stack"] = Field(description="The network family.")
    layers: str = Field(
        description=(
            "The chain: cN is a 3×3 convolution to N channels (cNkKsS: kernel K, stride S; a v at "
            "the end: unpadded), dN a depthwise-separable one, pN a 1×1 convolution; r a residual "
            "depthwise-separable block, R a residual 3×3 convolution (rk5: kernel 5), s the last "
            "of these again, with its weights (an l at the end of d and r: neither batch norm nor "
            "activation between the two convolutions; then a t: p4 filters, one of every four is "
            "stored and used in four orientations; or a g: p4 group convolution with orientation "
            "channels); M and A max and average "
            "pooling by 2 (M3: by 3). d* has as many channels as there are classes."
        )
    )
    head: Literal["gap", "fc", "maps"] = Field(
        "gap",
        description='"gap": global average pooling, then a linear map; "fc": linear on all values; '
        '"maps": the averages of the chain\'s last channels, one for each class.',
    )
    batch_norm: bool = Field(True, description="Batch norm after every convolution of the chain.")
    norm_scale: Positive | None = Field(
        None, description="Fix batch norm's scale to this number; off learns one for each channel."
    )
    dropout: Probability = Field(0.0, description="Dropout after every convolution block.")
    bias: bool = Field(False, description="Whether the chain's convolutions have a bias.")
    head_bias: bool = Field(True, description="Whether the classifier has a bias.")
    activation: Literal["relu", "silu"] = Field("relu", description="The nonlinearity.")
    pool_first: bool = Field(
        False,
        description="Pool a convolution's output before its batch norm and nonlinearity, which "
        "then work on a fraction of the values.",
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
    activation: Literal["relu", "silu"] = Field("relu", description="The nonlinearity.")


class CustomConfig(Section):
    """A network of the user's own: an ``nn.Module`` class, called with the section's other keys."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    name: str = Field(
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$",
        description="Your own network as package.module:Class; other keys are its arguments.",
    )

    @model_validator(mode="after")
    def _arguments_without_dates(self) -> Self:
        """A run's files are JSON too, which has no dates."""
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


FAMILIES: dict[str, type[Section]] = {
    "two-conv": TwoConvConfig,
    "conv-stack": ConvStackConfig,
    "stacked-1x1": Stacked1x1Config,
    "plain-valid": PlainValidConfig,
    "simple": SimpleConfig,
}

Model = Annotated[
    Annotated[TwoConvConfig, Tag("two-conv")]
    | Annotated[ConvStackConfig, Tag("conv-stack")]
    | Annotated[Stacked1x1Config, Tag("stacked-1x1")]
    | Annotated[PlainValidConfig, Tag("plain-valid")]
    | Annotated[SimpleConfig, Tag("simple")]
    | Annotated[CustomConfig, Tag("custom")],
    Discriminator(_family),
]
