"""The recipe: all settings of a training run.

Users read the descriptions in this file in ``kilonet recipes show``, in error messages and in the
reference.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from kilonet.recipe.families import (
    Count,
    Fraction,
    Model,
    NonNegative,
    Positive,
    Probability,
    Section,
)

FOLDER = "folder:"
"""The prefix of a data set's name that is a folder of pictures."""
MEMORY = "memory:"
"""The prefix of the name of images that were given in Python; the rest identifies them."""


class Data(Section):
    """The data set."""

    name: str = Field(
        "mnist",
        description='A data set ("kilonet data" lists them), or folder:PATH for your own pictures.',
    )
    side: Annotated[int, Field(ge=4, le=512)] | None = Field(
        None, description="Side in pixels to which a folder's pictures are scaled (unset: 32)."
    )
    colour: bool | None = Field(
        None, description="Whether a folder's pictures keep their colours (unset: yes)."
    )
    preparation: Literal["ink", "fit"] | None = Field(
        None,
        description='"ink": a drawn digit or letter is cut out of each picture of a folder, as for '
        'MNIST (28×28, grey); "fit": whole pictures (unset: ink if the classes are single '
        "characters and the pictures show ink on paper).",
    )
    validation: Annotated[float, Field(ge=0, lt=1)] = Field(
        1 / 12,
        description="Fraction of the training images that become the validation split (0: none).",
    )
    normalise: bool = Field(
        True,
        description="Whether pixels are normalised with the data set's mean and standard deviation "
        "(no: they are 0 to 1).",
    )

    @model_validator(mode="after")
    def _ink_has_a_fixed_format(self) -> Self:
        if self.preparation == "ink" and (self.side not in (None, 28) or self.colour):
            raise ValueError(
                'preparation = "ink" makes 28×28 grey images; leave side and colour out'
            )
        return self

    @model_validator(mode="after")
    def _only_folders_are_scaled(self) -> Self:
        if not self.name.startswith(FOLDER):
            for key in ("side", "colour", "preparation"):
                if getattr(self, key) is not None:
                    raise ValueError(
                        f'{key} is for a folder of pictures (name = "folder:PATH"); '
                        f"{self.name} has a fixed format"
                    )
        return self


class AugmentationConfig(Section):
    """Random changes to each training image in each epoch; all off by default."""

    rotation: Annotated[float, Field(ge=0, le=180)] = Field(
        0.0, description="Largest rotation in either direction, in degrees."
    )
    translation: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.0, description="Largest shift in each direction, as a fraction of the side."
    )
    scale: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="Largest change of size: factors are 1 - scale to 1 + scale."
    )
    shear: Annotated[float, Field(ge=0, le=60)] = Field(
        0.0, description="Largest horizontal shear in either direction, in degrees."
    )
    crop: Count | None = Field(
        None, description="Side in pixels of a centre crop, which is enlarged to full size."
    )
    crop_probability: Fraction = Field(1.0, description="Probability of the crop.")
    interpolation: Literal["nearest", "bilinear"] = Field(
        "bilinear", description="Interpolation between pixels."
    )
    elastic: Annotated[float, Field(ge=0, le=10)] = Field(
        0.0, description="Root mean square of a smooth random displacement, in pixels."
    )
    flip: Fraction = Field(
        0.0, description="Probability of mirroring left to right (not for digits or letters)."
    )
    erase: Annotated[int, Field(ge=0, le=512)] = Field(
        0, description="Side in pixels of a square that is erased at a random position (0: none)."
    )
    stroke: Annotated[float, Field(ge=0, le=2)] = Field(
        0.0,
        description="Approximate largest change of the stroke width in pixels, wider or narrower.",
    )
    blur: Annotated[float, Field(ge=0, le=10)] = Field(
        0.0, description="Largest standard deviation of a Gaussian blur, in pixels."
    )
    paper: Fraction = Field(
        0.0,
        description="Largest strength of a simulated paper background: uneven lighting and lower "
        "ink contrast (at 1, both are reduced by up to half).",
    )
    noise: Annotated[float, Field(ge=0, le=255)] = Field(
        0.0, description="Largest standard deviation of normal noise, in grey levels of 255."
    )
    inversion: Fraction = Field(0.0, description="Probability of inversion: dark ink on bright.")
    appearance_probability: Fraction = Field(
        1.0, description="Probability of each of stroke, blur, paper and noise."
    )
    handwriting: Probability = Field(
        0.0,
        description="Share of the images of each batch that are replaced by drawn digits in shapes "
        "that MNIST lacks, such as 1 with a flag (for data sets of digits).",
    )
    until: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0,
        description="Fraction of the epochs after which augmentation is off, except handwriting.",
    )


class AdamConfig(Section):
    """Adam (Kingma & Ba 2015)."""

    name: Literal["adam"] = Field(description="The optimizer.")
    lr: Positive = Field(1e-3, description="Learning rate; with a schedule, its peak.")
    weight_decay: NonNegative = Field(0.0, description="L2 penalty added to the gradient.")


class AdamWConfig(Section):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    name: Literal["adamw"] = Field(description="The optimizer.")
    lr: Positive = Field(1e-3, description="Learning rate; with a schedule, its peak.")
    weight_decay: NonNegative = Field(0.01, description="Decoupled weight decay.")


class SgdConfig(Section):
    """Stochastic gradient descent."""

    name: Literal["sgd"] = Field(description="The optimizer.")
    lr: Positive = Field(0.1, description="Learning rate; with a schedule, its peak.")
    momentum: Probability = Field(0.0, description="Momentum.")
    nesterov: bool = Field(False, description="Whether momentum is Nesterov's.")
    weight_decay: NonNegative = Field(0.0, description="L2 penalty added to the gradient.")

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov = true needs a momentum above 0, for example 0.9")
        return self


class MuonConfig(Section):
    """Orthogonalised momentum for hidden weights, AdamW for the rest (Jordan et al. 2024)."""

    name: Literal["muon"] = Field(description="The optimizer.")
    lr: Positive = Field(0.02, description="Learning rate of hidden weights (the peak).")
    adam_lr: Positive = Field(
        0.01, description="Learning rate of first and last layer, batch norm and biases (the peak)."
    )
    momentum: Probability = Field(0.9, description="Momentum, in Nesterov's form.")
    weight_decay: NonNegative = Field(0.01, description="Decoupled weight decay.")


class RmsPropConfig(Section):
    """RMSprop (Hinton, Coursera lecture 6e)."""

    name: Literal["rmsprop"] = Field(description="The optimizer.")
    lr: Positive = Field(1e-3, description="Learning rate; with a schedule, its peak.")
    momentum: Probability = Field(0.0, description="Momentum.")
    weight_decay: NonNegative = Field(0.0, description="L2 penalty added to the gradient.")


class ConstantConfig(Section):
    """A constant learning rate."""

    name: Literal["none"] = Field(description="The learning-rate schedule.")


class StepConfig(Section):
    """Multiply the learning rate by ``gamma`` every ``step_size`` epochs."""

    name: Literal["step"] = Field(description="The learning-rate schedule.")
    step_size: Count = Field(description="Epochs between two decays.")
    gamma: Annotated[float, Field(gt=0, le=1)] = Field(0.1, description="Factor of each decay.")


class PlateauConfig(Section):
    """Reduce the learning rate when the validation accuracy stops improving."""

    name: Literal["plateau"] = Field(description="The learning-rate schedule.")
    factor: Annotated[float, Field(gt=0, lt=1)] = Field(0.1, description="Factor of each decay.")
    patience: Annotated[int, Field(ge=0, le=10**9)] = Field(
        10, description="Epochs without a better validation accuracy before a decay."
    )


class OneCycleConfig(Section):
    """Increase the learning rate to its peak, then reduce it to almost 0 (Smith & Topin 2018)."""

    name: Literal["one-cycle"] = Field(description="The learning-rate schedule.")
    warmup: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.3, description="Fraction of the batches before the peak."
    )
    start: Annotated[float, Field(ge=1, le=1e12)] = Field(
        25.0, description="The first learning rate is the peak divided by this."
    )
    end: Annotated[float, Field(ge=1, le=1e12)] = Field(
        1e4, description="The last learning rate is the first divided by this."
    )


class CosineConfig(Section):
    """Reduce the learning rate to 0 along half a cosine, batch by batch."""

    name: Literal["cosine"] = Field(description="The learning-rate schedule.")


Optimizer = Annotated[
    AdamConfig | AdamWConfig | SgdConfig | MuonConfig | RmsPropConfig, Field(discriminator="name")
]
Schedule = Annotated[
    ConstantConfig | StepConfig | PlateauConfig | OneCycleConfig | CosineConfig,
    Field(discriminator="name"),
]


class Training(Section):
    """Length, batches, loss and device of the training."""

    epochs: Count = Field(description="Passes over the training images.")
    batch_size: Count = Field(128, description="Images per step.")
    label_smoothing: Probability = Field(
        0.0, description="Fraction of each target that is spread evenly over all classes."
    )
    teachers: list[str] = Field(
        default_factory=list, description="Runs or shipped models used as distillation teachers."
    )
    teacher_share: Fraction = Field(
        0.5, description="Weight of the distillation loss in the total loss."
    )
    temperature: Positive = Field(
        2.0, description="Temperature of the softmax in the distillation loss."
    )
    ema: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="Decay per step of a moving average of the weights; the average is evaluated.",
    )
    stop_at_accuracy: Fraction | None = Field(
        None, description="Stop when the validation accuracy, a fraction, reaches this value."
    )
    patience: Count | None = Field(
        None, description="Stop after this many epochs without a better validation accuracy."
    )
    weights: str | None = Field(
        None,
        description="A run, shipped model or folder of weights to start from. The last layer is "
        "new if the classes differ.",
    )
    freeze: str | None = Field(
        None,
        description='Layers that keep their weights: "features" (all but the last layer), or '
        'patterns of names such as "layer1* norm1".',
    )
    weights_rate: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="Factor of the learning rate of layers that start from other weights."
    )
    class_weights: Literal["balanced"] | None = Field(
        None,
        description='"balanced": each class has the same weight in the loss, however many images '
        "it has.",
    )
    sampling: Literal["balanced"] | None = Field(
        None,
        description='"balanced": the images of an epoch are drawn so that each class is as '
        "frequent as any other; those of rare classes repeat.",
    )
    keep: Literal["best", "last"] = Field(
        "best",
        description="The weights that are evaluated: the best on validation images, or the last.",
    )
    record_test_by_epoch: bool = Field(
        False,
        description="Also record each epoch's test accuracy, to compare with published curves. "
        "Nothing depends on it.",
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(
        0, description="Seed of all random numbers."
    )
    device: str = Field("auto", description='"auto", "cpu", "cuda", "cuda:N" or "mps".')
    precision: Literal["float32", "bfloat16", "auto"] = Field(
        "float32",
        description="Precision of the network's layers in training. Weights, loss and evaluation "
        'are float32. "auto": bfloat16 if the device supports it.',
    )
    kernels: Literal["torch", "compiled", "auto"] = Field(
        "auto",
        description="Kernels of a network's blocks in training on a CPU: PyTorch's, or compiled C "
        'in float32, which is faster and equal up to rounding. "auto": compiled where a C '
        "compiler and the network allow it.",
    )
    threads: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        None, description="CPU threads of each process (unset: PyTorch's default)."
    )
    deterministic: bool = Field(
        False, description="On CUDA, use only deterministic kernels (the CPU always does)."
    )


class Log(Section):
    """Logs beside the run's own files; they do not change the run."""

    tensorboard: bool = Field(
        False,
        description="Whether to write TensorBoard event files into the run's folder (needs the "
        'extra "tensorboard").',
    )


class Constraints(Section):
    """Requirements for the finished run; "kilonet check" reports each."""

    max_parameters: Count | None = Field(None, description="Largest number of parameters.")
    max_epochs: Count | None = Field(None, description="Largest number of epochs.")
    min_accuracy: Fraction | None = Field(None, description="Smallest test accuracy, a fraction.")
    required_layers: list[Literal["batch-norm", "dropout", "global-average-pooling"]] = Field(
        default_factory=list, description="Kinds of layer the network must contain."
    )


class Recipe(Section):
    """A complete description of a training run."""

    title: str = Field("", description="One line that describes the recipe.")
    source: str = Field("", description="The source of the recipe.")
    assumed: list[str] = Field(
        default_factory=list,
        description="Keys that the source does not specify and this recipe chose.",
    )
    data: Data = Field(default_factory=Data)
    model: Model
    augmentation: AugmentationConfig = Field(default_factory=AugmentationConfig)
    optimizer: Optimizer
    schedule: Schedule = Field(default_factory=lambda: ConstantConfig(name="none"))
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
                    f"{key} needs validation images, but data.validation is 0; "
                    "set a fraction, or turn it off"
                )
        return self

    @model_validator(mode="after")
    def _slower_layers_need_weights(self) -> Self:
        if self.training.weights_rate != 1 and self.training.weights is None:
            raise ValueError(
                "training.weights_rate is for layers that start from training.weights; name them"
            )
        return self

    @model_validator(mode="after")
    def _epochs_within_their_budget(self) -> Self:
        limit = self.constraints.max_epochs
        if limit is not None and self.training.epochs > limit:
            raise ValueError(
                f"training.epochs = {self.training.epochs} is over "
                f"constraints.max_epochs = {limit}; reduce the epochs or raise the limit"
            )
        return self
