"""``config.json``: the network, its input and classes, and how images are normalised."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from kilonet import __version__
from kilonet.errors import CheckpointError, RunError
from kilonet.recipe.families import Model
from kilonet.recipe.validation_messages import explain
from kilonet.runs.layout import FileContent, checked, read_json

MODEL_TYPE = "kilonet"
FORMAT = 1
CONFIG = "config.json"

Length = Annotated[int, Field(ge=1, le=65_536)]
Statistic = Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], Field(min_length=1)]


class PretrainedConfig(FileContent):
    """The content of ``config.json``, under the names that other libraries use.

    Pixels 0–255 are multiplied by ``rescale_factor``, then ``image_mean`` is subtracted and
    ``image_std`` divided by, one number a channel. ``input_shape`` is (C, H, W); ``id2label`` names
    the class of each logit; ``model`` is the ``[model]`` section of a recipe.
    """

    model_type: Literal["kilonet"] = "kilonet"
    kilonet_format: int = FORMAT
    kilonet_version: str = __version__
    name: str
    architectures: list[str]
    model: dict[str, Any]
    input_shape: Annotated[list[Length], Field(min_length=3, max_length=3)]
    id2label: Annotated[dict[str, str], Field(min_length=2)]
    label2id: dict[str, int]
    rescale_factor: Annotated[float, Field(ge=1e-9, le=1e9)] = 1 / 255
    image_mean: Statistic
    image_std: Statistic
    num_parameters: int
    dtype: str = "float32"

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        channels = self.input_shape[0]
        if not len(self.image_mean) == len(self.image_std) == channels:
            raise ValueError(f"image_mean and image_std must have {channels} numbers each")
        if not all(1e-9 <= value <= 1e9 for value in self.image_std):
            raise ValueError("image_std must be above 0")
        if list(self.id2label) != [str(index) for index in range(len(self.id2label))]:
            raise ValueError('the keys of id2label must be "0", "1", … in this order')
        return self

    @property
    def classes(self) -> tuple[str, ...]:
        """The class name of each logit."""
        return tuple(self.id2label.values())

    def section(self, path: Path) -> Model:
        """Return the validated ``[model]`` section; ``path`` names the file in messages."""
        try:
            return _MODEL.validate_python(self.model)
        except ValidationError as error:
            errors = [{**each, "loc": ("model", *each["loc"])} for each in error.errors()]
            reason = explain(errors, {"model": self.model})  # type: ignore[arg-type]
            raise CheckpointError(f"{path} is damaged: {reason}") from None


_MODEL: TypeAdapter[Model] = TypeAdapter(Model)


def read_config(path: Path) -> PretrainedConfig:
    """Return the configuration in the file ``path``."""
    if not path.is_file():
        raise CheckpointError(
            f"{path} is missing: kilonet.save_pretrained writes it. Save the network again."
        )
    try:
        return config_from(read_json(path), path)
    except RunError as error:
        raise CheckpointError(str(error)) from None


def config_from(content: dict[str, Any], path: Path) -> PretrainedConfig:
    """Return the configuration in ``content``, which was read from ``path``.

    Raises:
        RunError: the content is not valid.
        CheckpointError: it has another type of model or another format.
    """
    kind = content.get("model_type")
    if kind != MODEL_TYPE:
        raise CheckpointError(
            f"{path} describes a model of type {kind!r}, not of Kilonet's. Load it with the "
            "library that wrote it."
        )
    version = content.get("kilonet_format")
    if isinstance(version, int) and version != FORMAT:
        raise CheckpointError(
            f"{path} is of format {version}; this version of Kilonet reads format {FORMAT}. "
            f"Use Kilonet {content.get('kilonet_version', 'in the version that wrote it')}."
        )
    return PretrainedConfig(**checked(content, PretrainedConfig, path))
