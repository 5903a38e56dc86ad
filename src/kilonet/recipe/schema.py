"""The recipe: everything that decides what a training run does, and nothing else.

The descriptions here are the single source of what users read about a key: ``kilonet recipes
show``, error messages and the generated reference all take them from this file.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from kilonet.recipe.families import Model
from kilonet.recipe.section import Count, Fraction, NonNegative, Positive, Probability, Section

FOLDER = "folder:"
"""How the name of a folder of pictures begins, as a data set."""


class Data(Section):
    """Which images to learn from."""

    name: str = Field(
        "mnist",
        description='A data set; "kilonet data" lists them. Or folder:PATH, pictures of your own.',
    )
    side: Annotated[int, Field(ge=4, le=512)] | None = Field(
        None, description="Side in pixels that a folder's pictures are scaled to (unset: 32)."
    )
    colour: bool | None = Field(
        None, description="Whether a folder's pictures keep their colour (unset: yes)."
    )
    validation: Annotated[float, Field(ge=0, lt=1)] = Field(
        1 / 12,
        description="Fraction of the training images held back to decide by (0: none).",
    )
    normalise: bool = Field(
        True,
        description="Whether pixels have the data set's mean taken off and are divided by its "
        "standard deviation (no: they go from 0 to 1).",
    )

    @model_validator(mode="after")
    def _only_folders_are_scaled(self) -> Self:
        if not self.name.startswith(FOLDER):
            for key in ("side", "colour"):
                if getattr(self, key) is not None:
                    raise ValueError(
                        f'{key} is for a folder of pictures (name = "folder:PATH"); '
                        f"{self.name} comes as it is"
                    )
        return self


class Augmentation(Section):
    """Random changes to each training image, drawn anew each epoch; all off by default."""

    rotation: Annotated[float, Field(ge=0, le=180)] = Field(
        0.0, description="Largest rotation either way, in degrees."
    )
    translation: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.0, description="Largest shift either way and axis, as a fraction of the side."
    )
    scale: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="Largest change of size: factors from 1 - scale to 1 + scale."
    )
    shear: Annotated[float, Field(ge=0, le=60)] = Field(
        0.0, description="Largest horizontal shear either way, in degrees."
    )
    crop: Count | None = Field(
        None, description="Side in pixels of a centre crop that is enlarged to full size."
    )
    crop_probability: Fraction = Field(1.0, description="How often an image is cropped.")
    interpolation: Literal["nearest", "bilinear"] = Field(
        "bilinear", description="How pixels are read between the grid's points."
    )
    elastic: Annotated[float, Field(ge=0, le=10)] = Field(
        0.0,
        description="Root mean square of a smooth random displacement of every pixel, in pixels.",
    )
    flip: Fraction = Field(
        0.0, description="How often an image is mirrored, left to right (not for signs or letters)."
    )
    erase: Annotated[int, Field(ge=0, le=512)] = Field(
        0, description="Side in pixels of a square that is blanked at a random place (0: none)."
    )
    stroke: Annotated[float, Field(ge=0, le=2)] = Field(
        0.0, description="Largest change of the strokes' width either way, about, in pixels."
    )
    blur: Annotated[float, Field(ge=0, le=10)] = Field(
        0.0, description="Largest standard deviation of a Gaussian blur, in pixels."
    )
    paper: Fraction = Field(
        0.0,
        description="Largest strength of a paper's background: uneven light, and paler ink, which "
        "stays the brighter (1: half the light and half the ink).",
    )
    noise: Annotated[float, Field(ge=0, le=255)] = Field(
        0.0, description="Largest standard deviation of normal noise, in grey levels of 255."
    )
    inversion: Fraction = Field(0.0, description="How often bright ink on dark becomes the other.")
    appearance_probability: Fraction = Field(
        1.0, description="How often each of stroke, blur, paper and noise changes an image."
    )
    until: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="Share of the epochs after which images come as they are."
    )


class Adam(Section):
    """Adam (Kingma & Ba 2015)."""

    name: Literal["adam"] = Field(description="The optimizer.")
    lr: Positive = Field(1e-3, description="Learning rate (the peak, where a schedule varies it).")
    weight_decay: NonNegative = Field(0.0, description="L2 penalty added to the gradient.")


class AdamW(Section):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    name: Literal["adamw"] = Field(description="The optimizer.")
    lr: Positive = Field(1e-3, description="Learning rate (the peak, where a schedule varies it).")
    weight_decay: NonNegative = Field(0.01, description="Decoupled weight decay.")


class Sgd(Section):
    """Stochastic gradient descent."""

    name: Literal["sgd"] = Field(description="The optimizer.")
    lr: Positive = Field(0.1, description="Learning rate (the peak, where a schedule varies it).")
    momentum: Probability = Field(0.0, description="Momentum.")
    nesterov: bool = Field(False, description="Nesterov's form of momentum.")
    weight_decay: NonNegative = Field(0.0, description="L2 penalty added to the gradient.")

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov = true needs a momentum above 0, for example 0.9")
        return self


class Muon(Section):
    """Orthogonalised momentum for hidden weights, AdamW for the rest (Jordan et al. 2024)."""

    name: Literal["muon"] = Field(description="The optimizer.")
    lr: Positive = Field(0.02, description="Learning rate of hidden weights (the peak).")
    adam_lr: Positive = Field(
        0.01, description="Learning rate of first and last layer, batch norm and biases (the peak)."
    )
    momentum: Probability = Field(0.9, description="Momentum, in Nesterov's form.")
    weight_decay: NonNegative = Field(0.01, description="Decoupled weight decay.")


class RmsProp(Section):
    """RMSprop (Hinton, Coursera lecture 6e)."""

    name: Literal["rmsprop"] = Field(description="The optimizer.")
    lr: Positive = Field(1e-3, description="Learning rate (the peak, where a schedule varies it).")
    momentum: Probability = Field(0.0, description="Momentum.")
    weight_decay: NonNegative = Field(0.0, description="L2 penalty added to the gradient.")


class Constant(Section):
    """The learning rate stays as it is."""

    name: Literal["none"] = Field(description="The learning-rate schedule.")


class Step(Section):
    """Multiply the learning rate by ``gamma`` every ``step_size`` epochs."""

    name: Literal["step"] = Field(description="The learning-rate schedule.")
    step_size: Count = Field(description="Epochs between two decays.")
    gamma: Annotated[float, Field(gt=0, le=1)] = Field(0.1, description="Factor of each decay.")


class Plateau(Section):
    """Reduce the learning rate when the validation accuracy stops rising."""

    name: Literal["plateau"] = Field(description="The learning-rate schedule.")
    factor: Annotated[float, Field(gt=0, lt=1)] = Field(0.1, description="Factor of each decay.")
    patience: Annotated[int, Field(ge=0, le=10**9)] = Field(
        10, description="Epochs without a better validation accuracy before a decay."
    )


class OneCycle(Section):
    """Up to the peak and down to almost nothing, batch by batch (Smith & Topin 2018)."""

    name: Literal["one-cycle"] = Field(description="The learning-rate schedule.")
    warmup: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.3, description="Fraction of the batches spent rising to the peak."
    )
    start: Annotated[float, Field(ge=1, le=1e12)] = Field(
        25.0, description="The first learning rate is the peak divided by this."
    )
    end: Annotated[float, Field(ge=1, le=1e12)] = Field(
        1e4, description="The last learning rate is the first divided by this."
    )


class Cosine(Section):
    """Half a cosine from the learning rate down to zero, batch by batch."""

    name: Literal["cosine"] = Field(description="The learning-rate schedule.")


Optimizer = Annotated[Adam | AdamW | Sgd | Muon | RmsProp, Field(discriminator="name")]
Schedule = Annotated[Constant | Step | Plateau | OneCycle | Cosine, Field(discriminator="name")]


class Training(Section):
    """How long, in what portions, and when to stop."""

    epochs: Count = Field(description="Passes over the training images.")
    batch_size: Count = Field(128, description="Images a step.")
    label_smoothing: Probability = Field(
        0.0, description="Share of each target spread evenly over all classes."
    )
    teachers: list[str] = Field(
        default_factory=list,
        description="Trained models, runs or such as ship, whose answers are learnt beside the "
        "labels.",
    )
    teacher_share: Fraction = Field(0.5, description="Share of the loss that follows the teachers.")
    temperature: Positive = Field(
        2.0, description="What softens the answers of teachers and network where they are compared."
    )
    ema: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="Decay a step of an average of the weights, which is what gets evaluated.",
    )
    stop_at_accuracy: Fraction | None = Field(
        None, description="Stop once the validation accuracy, a fraction, reaches this."
    )
    patience: Count | None = Field(
        None, description="Stop after this many epochs without a better validation accuracy."
    )
    keep: Literal["best", "last"] = Field(
        "best", description="Which weights the run is judged by: best on validation, or the last."
    )
    record_test_by_epoch: bool = Field(
        False,
        description="Also record the test accuracy each epoch, to compare with published curves; "
        "it decides nothing.",
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(0, description="Seed of all randomness.")
    device: str = Field("auto", description='"auto", "cpu", "cuda", "cuda:N" or "mps".')
    precision: Literal["float32", "bfloat16", "auto"] = Field(
        "float32",
        description="Arithmetic of the network's layers in training; weights, loss and evaluation "
        'are float32. "auto": bfloat16 where the device computes in it.',
    )
    kernels: Literal["torch", "compiled", "auto"] = Field(
        "torch",
        description="What computes a network's blocks in training on a CPU: PyTorch, or C of "
        'ours, in float32, the same to rounding and faster. "auto": compiled where there is a C '
        "compiler.",
    )
    threads: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        None, description="CPU threads of each process (unset: PyTorch's default)."
    )
    deterministic: bool = Field(
        False, description="On CUDA, only deterministic kernels (the CPU always is)."
    )


class Log(Section):
    """What is written of a training beside the run's own files; it changes nothing of the run."""

    tensorboard: bool = Field(
        False,
        description="Whether the run's folder gets TensorBoard's event files (needs the extra "
        '"tensorboard").',
    )


class Constraints(Section):
    """What the finished run must satisfy; "kilonet check" reports on each."""

    max_parameters: Count | None = Field(None, description="Most parameters the network may have.")
    max_epochs: Count | None = Field(None, description="Most epochs the run may take.")
    min_accuracy: Fraction | None = Field(None, description="Least test accuracy, a fraction.")
    required_layers: list[Literal["batch-norm", "dropout", "global-average-pooling"]] = Field(
        default_factory=list, description="Kinds of layer the network must contain."
    )


class Recipe(Section):
    """A complete description of a training run."""

    title: str = Field("", description="One line that says what this is.")
    source: str = Field("", description="Where the recipe comes from.")
    assumed: list[str] = Field(
        default_factory=list, description="Keys that the source leaves open and this recipe chose."
    )
    data: Data = Field(default_factory=Data)
    model: Model
    augmentation: Augmentation = Field(default_factory=Augmentation)
    optimizer: Optimizer
    schedule: Schedule = Field(default_factory=lambda: Constant(name="none"))
    training: Training
    log: Log = Field(default_factory=Log)
    constraints: Constraints = Field(default_factory=Constraints)

    def with_training(self, **changes: Any) -> Recipe:
        """Return the recipe with some keys of its ``[training]`` section changed."""
        training = self.training.model_copy(update=changes)
        return self.model_copy(update={"training": training})

    @model_validator(mode="after")
    def _decisions_need_validation_images(self) -> Self:
        if self.data.validation > 0:
            return self
        training = self.training
        deciding = {
            "training.stop_at_accuracy": training.stop_at_accuracy is not None,
            "training.patience": training.patience is not None,
            'training.keep = "best"': training.keep == "best",
            'schedule.name = "plateau"': self.schedule.name == "plateau",
        }
        for key, wanted in deciding.items():
            if wanted:
                raise ValueError(
                    f"{key} decides by validation images, but data.validation is 0; "
                    "hold some back, or turn it off"
                )
        return self

    @model_validator(mode="after")
    def _epochs_within_their_budget(self) -> Self:
        most = self.constraints.max_epochs
        if most is not None and self.training.epochs > most:
            raise ValueError(
                f"training.epochs = {self.training.epochs} is over "
                f"constraints.max_epochs = {most}; lower the one or raise the other"
            )
        return self
